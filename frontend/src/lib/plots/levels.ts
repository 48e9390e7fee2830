import type { Scope } from "../api/graphql";
import type { MetricConfig, SubCluster } from "../api/site";

export interface Thresholds {
  peak: number;
  normal: number;
  caution: number;
  alert: number;
}

export type Level = "normal" | "caution" | "alert" | "none";

/** What a level means in words, for metrics where high is good and for those where low is. */
export function levelText(level: Level, limits: Thresholds | undefined): string {
  const side = limits && limits.alert < limits.caution ? "below" : "above";
  if (level === "none" || !limits) return "no thresholds apply";
  return level === "normal" ? "in the normal range" : `${side} the ${level} threshold on average`;
}

function unitsPerNode(sub: SubCluster, scope: Scope): number {
  const { topology } = sub;
  switch (scope) {
    case "node":
      return 1;
    case "socket":
      return topology.socket?.length ?? 0;
    case "memoryDomain":
      return topology.memoryDomain?.length ?? 0;
    case "core":
      return topology.core?.length ?? 0;
    case "hwthread":
      return topology.node?.length ?? 0;
    case "accelerator":
      return topology.accelerators?.length ?? 0;
  }
}

/**
 * Thresholds as they apply to one series at `scope`; undefined where none make sense.
 * `share` is the part of a node that the job holds, for sums over the job's own components.
 */
export function thresholdsAt(
  metric: MetricConfig | undefined,
  sub: SubCluster | undefined,
  scope: Scope,
  share = 1,
): Thresholds | undefined {
  if (!metric || !sub) return undefined;
  let factor = 1;
  if (metric.aggregation === "sum") {
    const units = unitsPerNode(sub, scope);
    if (!units) return undefined;
    factor = scope === "node" ? (metric.scope === "node" ? 1 : share) : 1 / units;
  } else if (metric.aggregation !== "avg") {
    return undefined;
  }
  return {
    peak: metric.peak * factor,
    normal: (metric.normal ?? 0) * factor,
    caution: metric.caution * factor,
    alert: metric.alert * factor,
  };
}

/** Where an average stands; the direction follows from the order of alert and caution. */
export function levelOf(average: number | null, limits: Thresholds | undefined): Level {
  if (average === null || !limits || (limits.alert === 0 && limits.caution === 0)) return "none";
  const highIsGood = limits.alert < limits.caution;
  if (highIsGood ? average <= limits.alert : average >= limits.alert) return "alert";
  if (highIsGood ? average <= limits.caution : average >= limits.caution) return "caution";
  return "normal";
}
