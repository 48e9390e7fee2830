/** The editors of the filter menu and the filters that each of them sets. */
import type { FilterKey } from "./grammar";

export interface Group {
  name: string;
  label: string;
  keys: readonly FilterKey[];
}

export const GROUPS: readonly Group[] = [
  { name: "cluster", label: "Cluster/SubCluster/Partition", keys: ["cluster", "subCluster", "partition"] },
  { name: "state", label: "Job States", keys: ["state", "shared", "schedule"] },
  { name: "startTime", label: "Start Time", keys: ["startTime"] },
  { name: "duration", label: "Duration", keys: ["duration"] },
  { name: "tag", label: "Tags", keys: ["tag", "tagNot"] },
  { name: "resources", label: "Resources", keys: ["node", "numNodes", "numHWThreads", "numAccelerators"] },
  { name: "energy", label: "Energy", keys: ["energy"] },
  { name: "stat", label: "Statistics", keys: ["stat"] },
  { name: "names", label: "Names and Numbers", keys: ["user", "project", "jobName", "jobId", "arrayJobId", "dbId"] },
];

export const groupOf = (key: FilterKey): Group => GROUPS.find((group) => group.keys.includes(key)) as Group;
