import type { Filter } from "../filters/grammar";
import { ApiError, query, queryMany } from "./client";
import { graphql, type ResultOf, type Scope, type VariablesOf } from "./graphql";
import type { MetricConfig } from "./site";

const JobsQuery = graphql(`
  query Jobs($filter: [JobFilter!], $order: OrderByInput, $page: PageRequest) {
    jobs(filter: $filter, order: $order, page: $page) {
      count
      hasNextPage
      items {
        id
        jobId
        user
        project
        cluster
        subCluster
        partition
        arrayJobId
        startTime
        duration
        walltime
        state
        shared
        numNodes
        numHWThreads
        numAcc
        SMT
        energy
        monitoringStatus
        tags {
          id
          type
          name
          scope
        }
        resources {
          hostname
        }
        metaData
        userData {
          name
        }
        footprint {
          name
          stat
          value
        }
      }
    }
  }
`);

const BriefQuery = graphql(`
  query BriefJobs($filter: [JobFilter!], $page: PageRequest) {
    jobs(filter: $filter, page: $page, order: { field: "startTime", type: "col", order: DESC }) {
      count
      hasNextPage
      items {
        id
        user
        project
        cluster
        subCluster
        startTime
        duration
        state
        shared
        numHWThreads
        SMT
        footprint {
          name
          stat
          value
        }
      }
    }
  }
`);

const CountQuery = graphql(`
  query JobCount($filter: [JobFilter!]) {
    jobs(filter: $filter, page: { itemsPerPage: 1, page: 1 }) {
      count
    }
  }
`);

const SimilarQuery = graphql(`
  query SimilarJobs($id: ID!, $limit: Int!, $by: [String!]) {
    similarJobs(id: $id, limit: $limit, by: $by) {
      id
      jobId
      startTime
      state
      duration
      numNodes
      energy
      footprint {
        name
        stat
        value
      }
    }
  }
`);

const MetricsQuery = graphql(`
  query JobMetrics($id: ID!, $metrics: [String!], $scopes: [MetricScope!], $resolution: Int) {
    jobMetrics(id: $id, metrics: $metrics, scopes: $scopes, resolution: $resolution) {
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
            avg
            min
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
`);

const GridQuery = graphql(`
  query JobMetricGrid($id: ID!, $metric: String!, $scope: MetricScope!, $cols: Int!) {
    jobMetricGrid(id: $id, metric: $metric, scope: $scope, cols: $cols) {
      scope
      rows
      times
      values
    }
  }
`);

export type JobRow = ResultOf<typeof JobsQuery>["jobs"]["items"][number];
export type JobOrder = NonNullable<VariablesOf<typeof JobsQuery>["order"]>;
export type MetricData = ResultOf<typeof MetricsQuery>["jobMetrics"][number];

export type BriefJob = ResultOf<typeof BriefQuery>["jobs"]["items"][number];

export interface JobPage {
  items: JobRow[];
  count: number;
  more: boolean;
}

export async function listJobs(
  filter: Filter[],
  order: JobOrder,
  page: { page: number; itemsPerPage: number },
  options: { signal?: AbortSignal; fresh?: boolean } = {},
): Promise<JobPage> {
  const { jobs } = await query(JobsQuery, { filter, order, page }, { fresh: true, ...options });
  return { items: jobs.items, count: jobs.count ?? 0, more: jobs.hasNextPage ?? false };
}

export async function countJobs(filter: Filter[], signal?: AbortSignal): Promise<number> {
  const options = signal ? { signal, fresh: true } : { fresh: true };
  return (await query(CountQuery, { filter }, options)).jobs.count ?? 0;
}

const BRIEF_PER_PAGE = 500;

/** The latest jobs that match, at most `most`, with what summaries need; `count` is how many there are. */
export async function latestJobs(filter: Filter[], most: number, signal?: AbortSignal): Promise<{ jobs: BriefJob[]; count: number }> {
  const found: BriefJob[] = [];
  const options = signal ? { signal, fresh: true } : { fresh: true };
  for (let page = 1; ; page += 1) {
    const { jobs } = await query(BriefQuery, { filter, page: { page, itemsPerPage: Math.min(BRIEF_PER_PAGE, most) } }, options);
    found.push(...jobs.items);
    if (!jobs.hasNextPage || !jobs.items.length || found.length >= most) return { jobs: found, count: jobs.count ?? found.length };
  }
}

/** Core hours of a job; of a running one up to now. */
export function coreHours(job: Pick<BriefJob, "state" | "startTime" | "duration" | "numHWThreads" | "SMT">, now: number): number {
  const seconds = job.state === "running" ? Math.max(now - Date.parse(job.startTime) / 1000, 0) : job.duration;
  return ((job.numHWThreads / Math.max(job.SMT, 1)) * seconds) / 3600;
}

export type SimilarJob = ResultOf<typeof SimilarQuery>["similarJobs"][number];

/** The newest other jobs on the same cluster that agree with this one in everything of `by`. */
export async function similarJobs(id: number, limit: number, by: string[], signal: AbortSignal): Promise<SimilarJob[]> {
  return (await query(SimilarQuery, { id: String(id), limit, by }, { signal })).similarJobs;
}

/** Time series of a job. `resolution` 0 is the native one; otherwise seconds, a multiple of every timestep. */
export async function jobMetrics(
  id: number,
  metrics: string[] | undefined,
  scopes: Scope[],
  resolution: number,
  options: { signal?: AbortSignal; fresh?: boolean } = {},
): Promise<MetricData[]> {
  const variables = { id: String(id), metrics: metrics ?? null, scopes, resolution };
  return (await query(MetricsQuery, variables, options)).jobMetrics;
}

// --- rows of a list: what many rows ask for at the same moment goes out as one request ---

const ROWS_PER_REQUEST = 25;
const GATHER = 5; // ms

interface RowRequest {
  id: number;
  metrics: string[];
  resolution: number;
  signal: AbortSignal;
  resolve: (data: MetricData[]) => void;
  reject: (cause: unknown) => void;
}

let gathered: RowRequest[] = [];

/** Node-scope series of a job in a list. One row that fails does not take the others with it. */
export function rowMetrics(id: number, metrics: string[], resolution: number, signal: AbortSignal): Promise<MetricData[]> {
  return new Promise((resolve, reject) => {
    gathered.push({ id, metrics, resolution, signal, resolve, reject });
    if (gathered.length === 1) setTimeout(flush, GATHER);
  });
}

function flush(): void {
  const all = gathered.filter((row) => !row.signal.aborted);
  for (const row of gathered) if (row.signal.aborted) row.reject(new DOMException("aborted", "AbortError"));
  gathered = [];
  for (let from = 0; from < all.length; from += ROWS_PER_REQUEST) void ask(all.slice(from, from + ROWS_PER_REQUEST));
}

/** Ends the request when nobody waits for any of its rows any more; a row that left does not wait for the others. */
function untilAllLeave(rows: RowRequest[]): AbortSignal {
  const controller = new AbortController();
  let left = 0;
  for (const row of rows)
    row.signal.addEventListener("abort", () => {
      row.reject(new DOMException("aborted", "AbortError"));
      if (++left === rows.length) controller.abort();
    });
  return controller.signal;
}

async function ask(rows: RowRequest[]): Promise<void> {
  const parts = rows.map((row, index) => ({
    alias: `row${index}`,
    field: "jobMetrics",
    variables: {
      id: ["ID!", String(row.id)],
      metrics: ["[String!]", row.metrics],
      scopes: ["[MetricScope!]", ["node"]],
      resolution: ["Int", row.resolution],
    } as const,
  }));
  try {
    const answers = await queryMany<MetricData[]>(parts, MetricsQuery, untilAllLeave(rows));
    rows.forEach((row, index) => {
      const answer = answers[index];
      if (answer?.data) row.resolve(answer.data);
      else row.reject(new ApiError("server", "The server could not answer this request.", answer?.error ?? ""));
    });
  } catch (cause) {
    for (const row of rows) row.reject(cause);
  }
}

const gcd = (a: number, b: number): number => (b ? gcd(b, a % b) : a);

/** The coarsest spacing that still leaves `points` points of `duration` seconds; 0 when native is fine. */
export function coarseResolution(metrics: MetricConfig[], duration: number, points: number): number {
  const common = metrics.reduce((step, metric) => (step * metric.timestep) / gcd(step, metric.timestep), 1);
  const multiple = Math.floor(duration / points / common);
  return multiple > 1 ? multiple * common : 0;
}

export const metaText = (meta: unknown, key: string): string => {
  const value = meta && typeof meta === "object" ? (meta as Record<string, unknown>)[key] : undefined;
  return typeof value === "string" ? value : "";
};

export type JobGrid = NonNullable<ResultOf<typeof GridQuery>["jobMetricGrid"]>;

/** A metric as a grid of at most `cols` columns: a row per host or component. */
export async function jobMetricGrid(id: string, metric: string, scope: Scope, cols: number, options: { signal?: AbortSignal; fresh?: boolean } = {}): Promise<JobGrid | null> {
  return (await query(GridQuery, { id, metric, scope, cols }, options)).jobMetricGrid;
}
