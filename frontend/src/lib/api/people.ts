import type { Filter } from "../filters/grammar";
import { ApiError, query } from "./client";
import { graphql, type ResultOf } from "./graphql";

const GroupedQuery = graphql(`
  query Grouped($filter: [JobFilter!], $by: Aggregate!) {
    jobsStatistics(filter: $filter, groupBy: $by) {
      id
      name
      totalJobs
      runningJobs
      shortJobs
      totalWalltime
      totalNodeHours
      totalCores
      totalCoreHours
      totalAccs
      totalAccHours
    }
  }
`);

const SharesQuery = graphql(`
  query Shares($filter: [JobFilter!], $by: Aggregate!, $sort: SortByAggregate!, $page: PageRequest) {
    jobsStatistics(filter: $filter, groupBy: $by, sortBy: $sort, page: $page) {
      id
      name
      totalJobs
      totalWalltime
      totalNodes
      totalNodeHours
      totalCores
      totalCoreHours
      totalAccs
      totalAccHours
    }
  }
`);

const TotalsQuery = graphql(`
  query Totals($filter: [JobFilter!], $metrics: [String!], $durations: String, $bins: Int) {
    jobsStatistics(filter: $filter, metrics: $metrics, numDurationBins: $durations, numMetricBins: $bins) {
      totalJobs
      runningJobs
      totalUsers
      shortJobs
      totalWalltime
      totalNodes
      totalNodeHours
      totalCores
      totalCoreHours
      totalAccs
      totalAccHours
      histDuration {
        count
        value
      }
      histNumNodes {
        count
        value
      }
      histNumCores {
        count
        value
      }
      histNumAccs {
        count
        value
      }
      histMetrics {
        metric
        unit
        stat
        data {
          count
          minF
          maxF
        }
      }
    }
  }
`);

const UserQuery = graphql(`
  query Person($name: String!) {
    user(username: $name) {
      username
      name
      email
    }
  }
`);

const RooflineQuery = graphql(`
  query JobsRoofline($filter: [JobFilter!]!, $rows: Int!, $cols: Int!, $minX: Float!, $minY: Float!, $maxX: Float!, $maxY: Float!) {
    rooflineHeatmap(filter: $filter, rows: $rows, cols: $cols, minX: $minX, minY: $minY, maxX: $maxX, maxY: $maxY, sample: true)
  }
`);

const FootprintsQuery = graphql(`
  query Footprints($metrics: [String!]!, $filter: [JobFilter!]) {
    jobsFootprints(metrics: $metrics, filter: $filter, sample: true) {
      jobs {
        id
        jobId
        user
        numAcc
      }
      timeWeights {
        nodeHours
        accHours
        coreHours
      }
      metrics {
        metric
        data
      }
    }
  }
`);

const TrendQuery = graphql(`
  query FootprintTrend($metrics: [String!]!, $filter: [JobFilter!], $edges: [Int!]!) {
    footprintTrend(metrics: $metrics, filter: $filter, edges: $edges) {
      metric
      stat
      unit {
        prefix
        base
      }
      means
      jobs
    }
  }
`);

const CompareQuery = graphql(`
  query Compare($filter: [JobFilter!], $metrics: [String!]) {
    jobsMetricStats(filter: $filter, metrics: $metrics) {
      id
      jobId
      startTime
      duration
      cluster
      subCluster
      numNodes
      numHWThreads
      numAccelerators
      missing
      stats {
        name
        data {
          min
          avg
          max
        }
      }
    }
  }
`);

export type Group = ResultOf<typeof GroupedQuery>["jobsStatistics"][number];
export type ShareGroup = ResultOf<typeof SharesQuery>["jobsStatistics"][number];
export type Totals = ResultOf<typeof TotalsQuery>["jobsStatistics"][number];
export type Person = NonNullable<ResultOf<typeof UserQuery>["user"]>;
export type JobsFootprints = NonNullable<ResultOf<typeof FootprintsQuery>["jobsFootprints"]>;
export type Trend = ResultOf<typeof TrendQuery>["footprintTrend"][number];
export type ComparedJob = ResultOf<typeof CompareQuery>["jobsMetricStats"][number];

const options = (signal: AbortSignal | undefined): { signal?: AbortSignal; fresh: boolean } =>
  signal ? { signal, fresh: true } : { fresh: true };

export async function grouped(by: "USER" | "PROJECT", filter: Filter[], signal?: AbortSignal): Promise<Group[]> {
  return (await query(GroupedQuery, { by, filter }, options(signal))).jobsStatistics;
}

export type ShareKey =
  | "TOTALJOBS"
  | "TOTALWALLTIME"
  | "TOTALNODES"
  | "TOTALNODEHOURS"
  | "TOTALCORES"
  | "TOTALCOREHOURS"
  | "TOTALACCS"
  | "TOTALACCHOURS";

/** The largest ten of a kind. */
export async function largest(by: "USER" | "PROJECT", sort: ShareKey, filter: Filter[], signal?: AbortSignal): Promise<ShareGroup[]> {
  const page = { itemsPerPage: 10, page: 1 };
  return (await query(SharesQuery, { by, sort, filter, page }, options(signal))).jobsStatistics;
}

export async function totals(
  filter: Filter[],
  wanted: { metrics?: string[]; durations?: string; bins?: number } = {},
  signal?: AbortSignal,
): Promise<Totals> {
  const variables = { filter, metrics: wanted.metrics ?? null, durations: wanted.durations ?? "1h", bins: wanted.bins ?? 10 };
  const [only] = (await query(TotalsQuery, variables, options(signal))).jobsStatistics;
  if (!only) throw new ApiError("server", "The server sent no totals.");
  return only;
}

export async function person(name: string, signal?: AbortSignal): Promise<Person | null> {
  return (await query(UserQuery, { name }, options(signal))).user;
}

export async function roofline(
  filter: Filter[],
  box: { rows: number; cols: number; minX: number; minY: number; maxX: number; maxY: number },
  signal?: AbortSignal,
): Promise<number[][]> {
  return (await query(RooflineQuery, { filter, ...box }, options(signal))).rooflineHeatmap;
}

export async function footprints(metrics: string[], filter: Filter[], signal?: AbortSignal): Promise<JobsFootprints> {
  const { jobsFootprints } = await query(FootprintsQuery, { metrics, filter }, options(signal));
  if (!jobsFootprints) throw new ApiError("server", "The server sent no footprints.");
  return jobsFootprints;
}

/** Means of what is kept of the metrics, over the jobs that started between two edges (unix seconds). */
export async function footprintTrend(metrics: string[], filter: Filter[], edges: number[], signal?: AbortSignal): Promise<Trend[]> {
  return (await query(TrendQuery, { metrics, filter, edges }, options(signal))).footprintTrend;
}

export async function compare(filter: Filter[], metrics: string[], signal?: AbortSignal): Promise<ComparedJob[]> {
  return (await query(CompareQuery, { filter, metrics }, options(signal))).jobsMetricStats;
}
