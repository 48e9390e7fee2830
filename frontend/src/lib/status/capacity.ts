/** What a cluster has and how much of it is in use; one place, so that all pages say the same. */
import type { ClusterNow } from "../api/cluster";
import type { SubCluster } from "../api/site";

export interface Capacity {
  nodes: number;
  cores: number;
  accelerators: number;
}

export const capacityOf = (subs: SubCluster[]): Capacity =>
  subs.reduce(
    (sum, sub) => ({
      nodes: sum.nodes + sub.numberOfNodes,
      cores: sum.cores + sub.numberOfNodes * sub.socketsPerNode * sub.coresPerSocket,
      accelerators: sum.accelerators + sub.numberOfNodes * (sub.topology.accelerators?.length ?? 0),
    }),
    { nodes: 0, cores: 0, accelerators: 0 },
  );

export interface Use {
  label: string;
  used: number;
  of: number;
  /** Neither used nor free: down, reserved. */
  away: number;
}

/** In use, free and neither, for nodes, cores and accelerators. */
export function useOf(now: ClusterNow, subs: SubCluster[], allocated: number): Use[] {
  const all = capacityOf(subs);
  const away = (now.states.get("down") ?? 0) + (now.states.get("reserved") ?? 0);
  const rows: Use[] = [
    { label: "Nodes", used: allocated, of: all.nodes, away },
    { label: "Cores", used: now.cores, of: all.cores, away: 0 },
  ];
  if (all.accelerators) rows.push({ label: "GPUs", used: now.accelerators, of: all.accelerators, away: 0 });
  return rows;
}
