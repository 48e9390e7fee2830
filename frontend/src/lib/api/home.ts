import { query } from "./client";
import { graphql, type ResultOf } from "./graphql";

const HomeQuery = graphql(`
  query Home($running: [JobFilter!], $failed: [JobFilter!], $order: OrderByInput, $page: PageRequest) {
    perCluster: jobsStatistics(groupBy: CLUSTER) {
      id
      totalJobs
      runningJobs
    }
    running: jobs(filter: $running, order: $order, page: $page) {
      count
      items {
        id
        jobId
        user
        cluster
        subCluster
        startTime
        walltime
        state
        numNodes
        numAcc
        metaData
      }
    }
    failed: jobs(filter: $failed, order: $order, page: $page) {
      count
      items {
        id
        jobId
        user
        cluster
        startTime
        duration
        walltime
        state
        numNodes
        numAcc
        metaData
      }
    }
  }
`);

const AllocatedQuery = graphql(`
  query Allocated($cluster: String!) {
    allocatedNodes(cluster: $cluster) {
      name
      count
    }
  }
`);

export type Home = ResultOf<typeof HomeQuery>;
export type ShortJob = Pick<Home["running"]["items"][number], "numNodes" | "numAcc">;

export const FAILED_STATES = ["failed", "timeout", "out_of_memory", "node_fail", "boot_fail", "deadline"];

/** The numbers of the first page. `user` restricts the two lists, undefined shows those of everybody visible. */
export async function loadHome(user: string | undefined, signal: AbortSignal): Promise<Home> {
  const mine = user === undefined ? [] : [{ user: { eq: user } }];
  return query(
    HomeQuery,
    {
      running: [...mine, { state: ["running"] }],
      failed: [...mine, { state: FAILED_STATES }, { startTime: { range: "last7d" } }],
      order: { field: "startTime", type: "col", order: "DESC" },
      page: { itemsPerPage: 6, page: 1 },
    },
    { signal, fresh: true },
  );
}

/** Nodes with at least one running job, whoever it belongs to, by subcluster. */
export async function allocatedNodes(cluster: string, signal: AbortSignal): Promise<Map<string, number>> {
  const answer = await query(AllocatedQuery, { cluster }, { signal, fresh: true });
  return new Map(answer.allocatedNodes.map((item) => [item.name, item.count]));
}
