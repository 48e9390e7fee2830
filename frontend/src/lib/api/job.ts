import { ApiError, query } from "./client";
import { graphql, type ResultOf, type Scope } from "./graphql";

const JobQuery = graphql(`
  query Job($id: ID!) {
    job(id: $id) {
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
        hwthreads
        accelerators
      }
      metaData
      userData {
        name
        email
      }
      concurrentJobs {
        count
        listQuery
      }
      footprint {
        name
        stat
        value
      }
      energyFootprint {
        hardware
        metric
        value
      }
    }
  }
`);

const StatisticsQuery = graphql(`
  query JobStatistics($id: ID!, $metrics: [String!], $scopes: [MetricScope!]) {
    scopedJobStats(id: $id, metrics: $metrics, scopes: $scopes) {
      name
      scope
      stats {
        hostname
        id
        data {
          min
          avg
          max
        }
      }
    }
  }
`);

export type Job = NonNullable<ResultOf<typeof JobQuery>["job"]>;
export type ScopedStatistics = ResultOf<typeof StatisticsQuery>["scopedJobStats"][number];

export const NOT_FOUND = "There is no such job, or you have no right to see it.";

export async function loadJob(id: number, options: { signal?: AbortSignal; fresh?: boolean } = {}): Promise<Job> {
  try {
    const { job } = await query(JobQuery, { id: String(id) }, { fresh: true, ...options });
    if (job) return job;
  } catch (cause) {
    const unknown = cause instanceof ApiError && /no rows|not allowed|not found|no such/i.test(cause.detail);
    if (!unknown) throw cause;
  }
  throw new ApiError("refused", NOT_FOUND);
}

export async function loadStatistics(
  id: number,
  metrics: string[],
  scopes: Scope[],
  options: { signal?: AbortSignal; fresh?: boolean } = {},
): Promise<ScopedStatistics[]> {
  return (await query(StatisticsQuery, { id: String(id), metrics, scopes }, options)).scopedJobStats;
}
