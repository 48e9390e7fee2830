/** What the systems views make of the nodes that the server lists. */
import type { Scope } from "../api/graphql";
import type { NodeItem, NodeMetric } from "../api/nodes";
import type { MetricConfig } from "../api/site";

const SILENT_STEPS = 5; // a node without a sample in this many steps before the end of the window is silent

/** Parts of a node in words, from coarse to fine. */
export const SCOPE_WORDS: Record<Scope, string> = { node: "node", socket: "socket", memoryDomain: "memory domain", core: "core", hwthread: "hardware thread", accelerator: "GPU" };

/** The scopes in which at least one of the metrics can be had. */
export function scopesOf(metrics: MetricConfig[]): Scope[] {
  const known = Object.keys(SCOPE_WORDS) as Scope[];
  const native = new Set<string>(metrics.map((metric) => metric.scope));
  const finest = Math.max(0, ...known.map((scope, index) => (scope !== "accelerator" && native.has(scope) ? index : 0)));
  return known.filter((scope, index) => (scope === "accelerator" ? native.has(scope) : index <= finest));
}

export const metricOf = (node: NodeItem, name: string, scope = "node"): NodeMetric["metric"] | undefined =>
  (node.metrics.find((item) => item.name === name && item.scope === scope) ?? node.metrics.find((item) => item.name === name))?.metric;

/** Values of one metric over a whole node; parts of it are added up or averaged. */
export function nodeValues(node: NodeItem, name: string, aggregation: string): { values: (number | null)[]; timestep: number } {
  const metric = metricOf(node, name);
  const series = metric?.series ?? [];
  const length = series.reduce((most, item) => Math.max(most, item.data.length), 0);
  if (series.length === 1 && series[0]) return { values: series[0].data, timestep: metric?.timestep ?? 60 };
  const values = Array.from({ length }, (_, step) => {
    let [sum, present] = [0, 0];
    for (const item of series) {
      const value = item.data[step];
      if (value !== null && value !== undefined) {
        sum += value;
        present += 1;
      }
    }
    return present ? (aggregation === "sum" ? sum : sum / present) : null;
  });
  return { values, timestep: metric?.timestep ?? 60 };
}

export function latest(values: (number | null)[]): number | null {
  for (let index = values.length - 1; index >= Math.max(0, values.length - SILENT_STEPS); index -= 1) {
    const value = values[index];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

/** Why somebody should look at a node; empty when there is no reason. */
export function troubleOf(state: string, health: string, hasData: boolean, measured: boolean): string {
  if (state === "down") return "down";
  if (measured && !hasData) return "no data";
  if (health === "failed") return "no metrics";
  return health === "partial" ? "metrics missing" : "";
}
