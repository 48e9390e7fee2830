/** What the server put into the page itself: who is logged in, which clusters exist, settings. */
import { createSubscriber } from "svelte/reactivity";

export interface Boot {
  user: {
    username: string;
    name: string;
    email: string;
    roles: string[];
    authLevel: number;
    projects: string[];
  };
  clusters: { name: string; subClusters: string[]; partitions: string[] }[];
  config: Record<string, unknown>;
  /** What the site sets; it holds where somebody chose nothing. */
  defaults: Record<string, unknown>;
  resampling: { minimumPoints: number; trigger: number; resolutions: number[] } | null;
  version: { version: string; hash: string; buildTime: string };
  notice: string;
  product: string;
  /** Whether people log in at all; without it one implicit user sees everything. */
  authentication: boolean;
  statusForSupport: boolean;
  emissionConstant: number;
  shortRunningJobsDuration: number;
  /** More short jobs of a user in 24 hours are worth a word. */
  shortJobStorm: number;
  features: string[];
  /** Whether this session shows pseudonyms. */
  presentation: boolean;
}

const EMPTY: Boot = {
  user: { username: "", name: "", email: "", roles: [], authLevel: 0, projects: [] },
  clusters: [],
  config: {},
  defaults: {},
  resampling: null,
  version: { version: "", hash: "", buildTime: "" },
  notice: "",
  product: "ccserver",
  authentication: true,
  statusForSupport: false,
  emissionConstant: 0,
  shortRunningJobsDuration: 300,
  shortJobStorm: 50,
  features: [],
  presentation: false,
};

function read(): Boot {
  const text = document.getElementById("boot")?.textContent ?? "";
  const given = JSON.parse(text) as Partial<Boot>;
  // Lists may arrive as null; every other part has a default, so that an older server still gets a page.
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
  return { ...EMPTY, ...present };
}

export const boot: Boot = read();

export const LEVEL = { user: 2, manager: 3, support: 4, admin: 5 } as const;

export const atLeast = (level: number): boolean => boot.user.authLevel >= level;

/** Whether this person may see the state of the machines. */
export const seesStatus = (): boolean =>
  atLeast(boot.statusForSupport ? LEVEL.support : LEVEL.admin) && boot.user.authLevel <= LEVEL.admin;

export const hasFeature = (name: string): boolean => boot.features.includes(name);

let announce = (): void => undefined;
const watch = createSubscriber((update) => {
  announce = update;
  return () => (announce = () => undefined);
});

/** The keys of a setting, the most specific one first: `<key>:<cluster>:<sub>`, `<key>:<cluster>`, `<key>`. */
function keysOf(key: string, cluster = "", subCluster = ""): string[] {
  const keys = cluster ? [`${key}:${cluster}`, key] : [key];
  return cluster && subCluster ? [`${key}:${cluster}:${subCluster}`, ...keys] : keys;
}

const given = (value: unknown): boolean => value !== undefined && value !== null;

/** A setting under its most specific key that has a value; what shows it follows when it changes. */
export function setting<T>(key: string, fallback: T, cluster = "", subCluster = ""): T {
  watch();
  const found = keysOf(key, cluster, subCluster).find((name) => given(boot.config[name]));
  return found === undefined ? fallback : (boot.config[found] as T);
}

/** The key under which a choice for this place is kept. */
export const settingKey = (key: string, cluster = "", subCluster = ""): string => keysOf(key, cluster, subCluster)[0] ?? key;

/** The keys of a setting under which somebody chose something else than the site. */
export function ownKeys(key: string, cluster = "", subCluster = ""): string[] {
  watch();
  return keysOf(key, cluster, subCluster).filter((name) => given(boot.config[name]) && JSON.stringify(boot.config[name]) !== JSON.stringify(boot.defaults[name]));
}

/** Notes a setting that was stored; null gives it back to the site. */
export function noteSetting(name: string, value: unknown): void {
  boot.config[name] = value ?? boot.defaults[name];
  announce();
}
