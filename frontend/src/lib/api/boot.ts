/** What the server put into the page itself: who is logged in, which clusters exist, settings. */

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
}

const EMPTY: Boot = {
  user: { username: "", name: "", email: "", roles: [], authLevel: 0, projects: [] },
  clusters: [],
  config: {},
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

/** A setting under its most specific key: `<key>:<cluster>:<sub>`, `<key>:<cluster>`, `<key>`. */
export function setting<T>(key: string, fallback: T, cluster = "", subCluster = ""): T {
  const keys = [
    cluster && subCluster ? `${key}:${cluster}:${subCluster}` : "",
    cluster ? `${key}:${cluster}` : "",
    key,
  ];
  for (const candidate of keys) {
    if (candidate && candidate in boot.config) return boot.config[candidate] as T;
  }
  return fallback;
}
