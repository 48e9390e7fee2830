/** A whole cluster at one moment and over the last hours: sums that the server makes. */
import { query } from "./client";
import { graphql, type ResultOf } from "./graphql";

const NowQuery = graphql(`
  query ClusterNow($cluster: String!, $running: [JobFilter!], $nodes: [NodeFilter!]) {
    jobsStatistics(filter: $running) {
      totalJobs
      totalUsers
      totalNodes
      totalCores
      totalAccs
    }
    allocatedNodes(cluster: $cluster) {
      name
      count
    }
    nodeStates(filter: $nodes) {
      state
      count
    }
  }
`);

const SeriesQuery = graphql(`
  query ClusterSeries($cluster: String!, $from: Time!, $to: Time!, $metrics: [String!]) {
    clusterMetrics(cluster: $cluster, from: $from, to: $to, metrics: $metrics) {
      nodeCount
      metrics {
        name
        unit {
          base
          prefix
        }
        timestep
        data
      }
    }
  }
`);

export type NowAnswer = ResultOf<typeof NowQuery>;

const RunningQuery = graphql(`
  query RunningStats($running: [JobFilter!]) {
    jobsMetricStats(filter: $running, metrics: ["flops_any", "mem_bw"]) {
      id
      jobId
      duration
      cluster
      subCluster
      numNodes
      numAccelerators
      stats {
        name
        data {
          avg
        }
      }
    }
  }
`);

const SubClustersQuery = graphql(`
  query SubClusters($cluster: String!, $running: [JobFilter!]) {
    jobsStatistics(filter: $running, groupBy: SUBCLUSTER) {
      id
      totalCores
      totalAccs
    }
    freeResources(cluster: $cluster) {
      subCluster
      nodes
      cores
      accelerators
      memory
    }
  }
`);

export type ClusterSeries = ResultOf<typeof SeriesQuery>["clusterMetrics"];
export type RunningJob = ResultOf<typeof RunningQuery>["jobsMetricStats"][number];

const running = (cluster: string): { cluster?: { eq: string }; state?: string[] }[] => [{ cluster: { eq: cluster } }, { state: ["running"] }];
const iso = (seconds: number): string => new Date(seconds * 1000).toISOString();

const SCHEDULER_STATES = new Set(["allocated", "reserved", "idle", "mixed", "down", "unknown"]);

export interface ClusterNow {
  jobs: number;
  users: number;
  cores: number;
  accelerators: number;
  /** Nodes with a job, by subcluster. */
  allocated: Map<string, number>;
  states: Map<string, number>;
}

export async function clusterNow(cluster: string, signal: AbortSignal): Promise<ClusterNow> {
  const variables = { cluster, running: running(cluster), nodes: [{ cluster: { eq: cluster } }] };
  return readNow(await query(NowQuery, variables, { signal, fresh: true }));
}

export function readNow(answer: NowAnswer): ClusterNow {
  const [sums] = answer.jobsStatistics;
  return {
    jobs: sums?.totalJobs ?? 0,
    users: sums?.totalUsers ?? 0,
    cores: sums?.totalCores ?? 0,
    accelerators: sums?.totalAccs ?? 0,
    allocated: new Map(answer.allocatedNodes.map((item) => [item.name, item.count])),
    // The list goes on with states of health; here it is about what the scheduler does.
    states: new Map(answer.nodeStates.filter((item) => SCHEDULER_STATES.has(item.state)).map((item) => [item.state, item.count])),
  };
}

/** What is left on nodes that jobs share; memory in MB, null where the scheduler says nothing of it. */
export type FreeParts = Omit<ResultOf<typeof SubClustersQuery>["freeResources"][number], "subCluster">;

export interface SubClusterUse {
  cores: number;
  accelerators: number;
  free: FreeParts;
}

/** Cores and accelerators of running jobs and what is free beside them, by subcluster. */
export async function subClusterUse(cluster: string, signal: AbortSignal): Promise<Map<string, SubClusterUse>> {
  const answer = await query(SubClustersQuery, { cluster, running: running(cluster) }, { signal, fresh: true });
  const used = new Map(answer.jobsStatistics.map((item) => [item.id, item]));
  return new Map(answer.freeResources.map(({ subCluster, ...free }) => [subCluster, { cores: used.get(subCluster)?.totalCores ?? 0, accelerators: used.get(subCluster)?.totalAccs ?? 0, free }]));
}

export async function clusterSeries(cluster: string, metrics: string[], hours: number, signal: AbortSignal): Promise<{ from: number; data: ClusterSeries }> {
  const to = Math.floor(Date.now() / 1000);
  const from = to - hours * 3600;
  const { clusterMetrics } = await query(SeriesQuery, { cluster, metrics, from: iso(from), to: iso(to) }, { signal, fresh: true });
  return { from, data: clusterMetrics };
}

export const runningStats = async (cluster: string, signal: AbortSignal): Promise<RunningJob[]> =>
  (await query(RunningQuery, { running: running(cluster) }, { signal, fresh: true })).jobsMetricStats;
