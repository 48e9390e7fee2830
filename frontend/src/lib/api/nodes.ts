import { hasFeature } from "./boot";
import { query } from "./client";
import { graphql, type ResultOf, type Scope } from "./graphql";
import { loadSite } from "./site";

const ListQuery = graphql(`
  query NodeList(
    $cluster: String!
    $subCluster: String!
    $state: String!
    $node: String!
    $metrics: [String!]
    $scopes: [MetricScope!]
    $from: Time!
    $to: Time!
    $resolution: Int
    $page: PageRequest
  ) {
    nodeMetricsList(
      cluster: $cluster
      subCluster: $subCluster
      stateFilter: $state
      nodeFilter: $node
      metrics: $metrics
      scopes: $scopes
      from: $from
      to: $to
      resolution: $resolution
      page: $page
    ) {
      items {
        host
        subCluster
        nodeState
        metricHealth
        metrics {
          name
          scope
          metric {
            unit {
              base
              prefix
            }
            timestep
            series {
              hostname
              id
              statistics {
                min
                avg
                max
              }
              data
            }
            statisticsSeries {
              min
              median
              mean
              max
            }
          }
        }
      }
    }
  }
`);

const StatesQuery = graphql(`
  query NodeStates($filter: [NodeFilter!]) {
    nodesWithMeta(filter: $filter) {
      count
      items {
        hostname
        subCluster
        jobsRunning
        schedulerState
        healthState
        healthData
      }
    }
  }
`);

const HistoryQuery = graphql(`
  query StateHistory($filter: [NodeFilter!]) {
    node: nodeStatesTimed(type: "node", filter: $filter) {
      state
      counts
      times
    }
    health: nodeStatesTimed(type: "health", filter: $filter) {
      state
      counts
      times
    }
  }
`);

const JobsOnQuery = graphql(`
  query JobsOn($cluster: String!, $host: String, $from: Time!, $to: Time!) {
    nodeJobs(cluster: $cluster, host: $host, from: $from, to: $to) {
      id
      jobId
      jobName
      user
      project
      state
      shared
      start
      stop
      hostname
      accelerators
    }
  }
`);

const EventsQuery = graphql(`
  query NodeEvents($cluster: String!, $host: String!, $from: Time!, $to: Time!) {
    nodeEvents(cluster: $cluster, host: $host, from: $from, to: $to) {
      time
      state
      health
    }
  }
`);

export type NodeItem = ResultOf<typeof ListQuery>["nodeMetricsList"]["items"][number];
export type NodeMetric = NodeItem["metrics"][number];
export type JobOnNode = ResultOf<typeof JobsOnQuery>["nodeJobs"][number];
export type NodeEvent = ResultOf<typeof EventsQuery>["nodeEvents"][number];
export type NodeReport = ResultOf<typeof StatesQuery>["nodesWithMeta"]["items"][number];

export interface Window {
  from: number; // unix seconds
  to: number;
}

const iso = (seconds: number): string => new Date(seconds * 1000).toISOString();

export interface NodeSelection extends Window {
  cluster: string;
  subCluster?: string;
  state?: string;
  node?: string;
  /** Only the host of exactly that name is of interest. */
  exact?: boolean;
  metrics: string[];
  scopes?: Scope[];
  /** Seconds between two points; 0 is native. */
  resolution: number;
}

/**
 * Nodes with their measurements; `node` is part of the host name. Asked for all, the server names those that
 * its scheduler has reported and, unless there is none at all, no others: these are asked for, too.
 */
export async function listNodes(selection: NodeSelection, options: { signal?: AbortSignal; fresh?: boolean } = {}): Promise<NodeItem[]> {
  const ask = async (state: string): Promise<NodeItem[]> => {
    const variables = {
      cluster: selection.cluster,
      subCluster: selection.subCluster ?? "",
      state,
      node: selection.node ?? "",
      metrics: selection.metrics,
      scopes: selection.scopes ?? ["node"],
      from: iso(selection.from),
      to: iso(selection.to),
      resolution: selection.resolution,
      page: { page: 1, itemsPerPage: -1 },
    };
    return (await query(ListQuery, variables, { fresh: true, ...options })).nodeMetricsList.items;
  };
  const state = selection.state ?? "all";
  const found = await ask(state);
  if (state !== "all" || (selection.exact && found.some((node) => node.host === selection.node))) return found;
  const site = await loadSite();
  const subClusters = site.clusters.find((item) => item.name === selection.cluster)?.subClusters ?? [];
  const configured = subClusters.filter((sub) => !selection.subCluster || sub.name === selection.subCluster).reduce((sum, sub) => sum + sub.numberOfNodes, 0);
  if (found.length >= configured) return found;
  const known = new Set(found.map((node) => node.host));
  return [...found, ...(await ask("notindb")).filter((node) => !known.has(node.host))];
}

/** What scheduler and monitoring last said about every node of a cluster. */
export async function nodeReports(cluster: string, signal?: AbortSignal): Promise<NodeReport[]> {
  const filter = [{ cluster: { eq: cluster } }];
  return (await query(StatesQuery, { filter }, signal ? { signal, fresh: true } : { fresh: true })).nodesWithMeta.items;
}

/** When scheduler or health state of a node changed; nothing where the server keeps no such record. */
export async function nodeEvents(cluster: string, host: string, window: Window, signal: AbortSignal): Promise<NodeEvent[]> {
  if (!hasFeature("nodejobs")) return [];
  const variables = { cluster, host, from: iso(window.from), to: iso(window.to) };
  return (await query(EventsQuery, variables, { signal, fresh: true })).nodeEvents;
}

export interface StateHistory {
  times: number[];
  states: { state: string; counts: number[] }[];
}

/** Lists of different length, each with its own times, put on one common axis. */
export function align(lists: { state: string; counts: number[]; times: number[] }[]): StateHistory {
  const times = [...new Set(lists.flatMap((item) => item.times))].sort((a, b) => a - b);
  const states = lists.map((item) => {
    const at = new Map(item.times.map((time, index) => [time, item.counts[index] ?? 0]));
    return { state: item.state, counts: times.map((time) => at.get(time) ?? 0) };
  });
  return { times, states };
}

export async function stateHistory(
  cluster: string,
  since: number,
  signal?: AbortSignal,
): Promise<{ node: StateHistory; health: StateHistory }> {
  const filter = [{ cluster: { eq: cluster }, timeStart: Math.floor(since) }];
  const answer = await query(HistoryQuery, { filter }, signal ? { signal, fresh: true } : { fresh: true });
  return { node: align(answer.node), health: align(answer.health) };
}

/** Jobs that ran at some time in the window; on one host or, once per host, on all of the cluster. */
export async function jobsOn(cluster: string, host: string | undefined, window: Window, signal: AbortSignal): Promise<JobOnNode[]> {
  const variables = { cluster, host: host ?? null, from: iso(window.from), to: iso(window.to) };
  return (await query(JobsOnQuery, variables, { signal, fresh: true })).nodeJobs;
}

/** Jobs that run now, once per host. */
export async function jobsRunning(cluster: string, signal: AbortSignal): Promise<JobOnNode[]> {
  const now = Math.floor(Date.now() / 1000);
  return (await jobsOn(cluster, undefined, { from: now, to: now }, signal)).filter((job) => job.stop === null);
}
