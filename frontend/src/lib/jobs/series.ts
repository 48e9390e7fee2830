import type { MetricData } from "../api/jobs";

export interface Condensed {
  /** Mean over the nodes, per time step; sums of parts are added up per node first. */
  values: (number | null)[];
  average: number | null;
  largest: number;
  samples: number;
}

/** One curve per metric for narrow places: what an average node of the job did. */
export function condense(data: MetricData, aggregation: string, nodes: number): Condensed {
  const series = data.metric.series ?? [];
  const length = Math.max(0, ...series.map((item) => item.data.length));
  const perNode = data.scope !== "node" && aggregation === "sum" ? series.length / Math.max(nodes, 1) : 1;
  const values: (number | null)[] = [];
  let largest = 0;
  let sum = 0;
  let samples = 0;
  for (let step = 0; step < length; step += 1) {
    let total = 0;
    let present = 0;
    for (const item of series) {
      const value = item.data[step];
      if (value !== null && value !== undefined) {
        total += value;
        present += 1;
      }
    }
    const mean = present ? (total / present) * perNode : null;
    values.push(mean);
    if (mean !== null) {
      largest = Math.max(largest, mean);
      sum += mean;
      samples += 1;
    }
  }
  return { values, average: samples ? sum / samples : null, largest, samples };
}

const COARSE_TO_FINE = ["node", "socket", "memoryDomain", "core", "hwthread", "accelerator"];

/** The entry of each metric at its coarsest scope, by name. */
export function coarsest(all: MetricData[]): Map<string, MetricData> {
  const found = new Map<string, MetricData>();
  for (const item of all) {
    const known = found.get(item.name);
    if (!known || COARSE_TO_FINE.indexOf(item.scope) < COARSE_TO_FINE.indexOf(known.scope)) found.set(item.name, item);
  }
  return found;
}
