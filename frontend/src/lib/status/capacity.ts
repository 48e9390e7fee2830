/** What a cluster has and how much of it is in use; one place, so that all pages say the same. */
import type { ClusterNow, FreeParts } from "../api/cluster";
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
  /** The lists behind the numbers. */
  links?: { used: string; free?: string; away?: string };
}

/** The lists of jobs and nodes behind the numbers of a cluster or a part of it. */
export function linksOf(cluster: string, subCluster = ""): { nodes: (search: Record<string, string>) => string; jobs: (search: Record<string, string>) => string } {
  const list = `/monitoring/systems/list/${encodeURIComponent(cluster)}${subCluster ? `/${encodeURIComponent(subCluster)}` : ""}`;
  return {
    nodes: (search) => `${list}?${new URLSearchParams(search).toString()}`,
    jobs: (search) => `/monitoring/jobs/?${new URLSearchParams({ cluster, ...(subCluster ? { subCluster } : {}), state: "running", ...search }).toString()}`,
  };
}

/** The same rows with links for those who may follow them. */
export function linked(rows: Use[], cluster: string, subCluster = ""): Use[] {
  const { nodes, jobs } = linksOf(cluster, subCluster);
  const links: Record<string, Use["links"]> = {
    Nodes: { used: nodes({ sort: "jobs:desc" }), free: nodes({ sort: "jobs:asc" }), away: nodes({ state: "down" }) },
    Cores: { used: jobs({ sort: "numHwthreads:desc" }), free: nodes({ sort: "jobs:asc" }) },
    GPUs: { used: jobs({ numAccelerators: "morethan-1" }), free: nodes({ sort: "jobs:asc" }) },
  };
  return rows.map((row) => {
    const found = links[row.label];
    return found ? { ...row, links: found } : row;
  });
}

export const sumOfFree = (parts: FreeParts[]): FreeParts =>
  parts.reduce(
    (sum, part) => ({
      nodes: sum.nodes + part.nodes,
      cores: sum.cores + part.cores,
      accelerators: sum.accelerators + part.accelerators,
      memory: part.memory === null ? sum.memory : (sum.memory ?? 0) + part.memory,
    }),
    { nodes: 0, cores: 0, accelerators: 0, memory: null },
  );

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
