import type { RunningJob } from "../api/cluster";
import type { NodeItem } from "../api/nodes";
import { plural, roughly } from "../format";
import { stateColour } from "../plots/palette";
import type { Point } from "../plots/Roofline.svelte";
import { nodeValues } from "../systems/nodes";

/** One bubble per running job: averages per node, colour by run time, size by nodes or accelerators. */
export function jobPoints(jobs: RunningJob[]): { points: Point[]; longest: number; without: number } {
  const longest = Math.max(3600, ...jobs.map((job) => job.duration));
  let without = 0;
  const points = jobs.flatMap((job): Point[] => {
    const average = (name: string): number | undefined => job.stats.find((item) => item.name === name)?.data.avg;
    const [flops, bandwidth] = [average("flops_any"), average("mem_bw")];
    if (!flops || !bandwidth) {
      without += 1;
      return [];
    }
    return [
      {
        intensity: flops / bandwidth,
        performance: flops,
        colour: job.duration / longest,
        radius: Math.min(24, 3 + 2 * Math.sqrt(job.numAccelerators || job.numNodes)),
        text: `Job ${job.jobId}, ${job.subCluster}, ${plural(job.numNodes, "node")}${job.numAccelerators ? `, ${plural(job.numAccelerators, "GPU")}` : ""}, ${roughly(job.duration)}`,
        href: `/monitoring/job/${job.id}`,
      },
    ];
  });
  return { points, longest, without };
}

const mean = (values: (number | null)[]): number => {
  const present = values.filter((value): value is number => value !== null);
  return present.length ? present.reduce((sum, value) => sum + value, 0) / present.length : 0;
};

/** One bubble per node: averages of the window, colour by state, size by jobs. */
export function nodePoints(nodes: NodeItem[], cluster: string, jobs: Map<string, number>): { points: Point[]; without: number } {
  let without = 0;
  const points = nodes.flatMap((node): Point[] => {
    const [flops, bandwidth] = [mean(nodeValues(node, "flops_any", "sum").values), mean(nodeValues(node, "mem_bw", "sum").values)];
    if (!flops || !bandwidth) {
      without += 1;
      return [];
    }
    const here = jobs.get(node.host) ?? 0;
    return [
      {
        intensity: flops / bandwidth,
        performance: flops,
        colour: stateColour(node.nodeState),
        radius: Math.min(12, 3 + 1.5 * here),
        text: `${node.host}, ${node.nodeState || "unknown"}, ${plural(here, "job")}`,
        href: `/monitoring/node/${encodeURIComponent(cluster)}/${encodeURIComponent(node.host)}`,
      },
    ];
  });
  return { points, without };
}

export const STATE_KEYS = ["allocated", "mixed", "idle", "reserved", "down"].map((state) => ({ label: state, colour: stateColour(state) }));
