import type { JobRow } from "../api/jobs";
import type { MetricConfig, SubCluster } from "../api/site";

/**
 * The part of a node that a job holds, as far as sums of this metric are concerned.
 * Undefined when its values include other jobs on the node, so that no threshold applies.
 */
export function shareOf(job: JobRow, sub: SubCluster | undefined, metric: MetricConfig): number | undefined {
  if (!sub) return undefined;
  if (metric.scope === "accelerator") {
    const accelerators = sub.topology.accelerators?.length ?? 0;
    return accelerators ? job.numAcc / job.numNodes / accelerators : undefined;
  }
  if (job.shared === "none") return 1;
  if (includesNeighbours(job, metric)) return undefined;
  const threads = sub.topology.node?.length ?? 0;
  return threads && job.numHWThreads ? job.numHWThreads / job.numNodes / threads : undefined;
}

/** Whether values of this metric are those of the whole node although others compute there too. */
export const includesNeighbours = (job: JobRow, metric: MetricConfig): boolean =>
  job.shared !== "none" && ["node", "socket", "memoryDomain"].includes(metric.scope);
