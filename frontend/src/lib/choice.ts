/** Which metrics a view shows: those of its address, else those of the settings for its cluster and subcluster. */
import { ownKeys, setting, settingKey } from "./api/boot";
import { saveSetting } from "./api/settings";
import { place } from "./router.svelte";

export interface Choice {
  /** The key of the address. */
  param: string;
  /** The setting that keeps it. */
  key: string;
  cluster?: string | undefined;
  subCluster?: string | undefined;
}

const NONE = "none"; // an empty value does not stay in an address

/** The names of the address; undefined when it leaves them to the settings. */
export function linkedNames(param: string): string[] | undefined {
  const text = place.params.get(param);
  if (text === null) return undefined;
  return text === NONE ? [] : text.split(",");
}

export const linkNames = (param: string, names: string[]): void => place.set({ [param]: names.join(",") || NONE }, { replace: true });

/** The metrics that were chosen; undefined when nobody chose, neither the person nor the site. */
export const chosenNames = ({ param, key, cluster, subCluster }: Choice): string[] | undefined =>
  linkedNames(param) ?? setting<string[] | undefined>(key, undefined, cluster, subCluster);

/** Whether the person chose, here or in an earlier visit. */
export const isOwnChoice = ({ param, key, cluster, subCluster }: Choice): boolean =>
  place.params.has(param) || ownKeys(key, cluster, subCluster).length > 0;

export function choose({ param, key, cluster, subCluster }: Choice, names: string[]): void {
  linkNames(param, names);
  void saveSetting(settingKey(key, cluster, subCluster), names).catch(() => undefined); // the address has them anyway
}

/** Back to what the site shows here: forgets what was chosen for this place and for wider ones. */
export async function forgetChoice({ param, key, cluster, subCluster }: Choice): Promise<void> {
  place.set({ [param]: undefined }, { replace: true });
  for (const name of ownKeys(key, cluster, subCluster)) await saveSetting(name, null).catch(() => undefined);
}
