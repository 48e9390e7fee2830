/** How the averages of a job compare with what is usual on its nodes. Source: spec/web-ui.md 5.2. */
import type { JobRow } from "../api/jobs";
import type { Site } from "../api/site";
import { quantity } from "../format";
import type { IconName } from "../ui/icons";

const LEVELS = {
  alert: { icon: "x-octagon", text: "far off the normal range", rank: 0 },
  suspect: { icon: "exclamation-triangle", text: "above what the hardware can do, data suspect", rank: 1 },
  caution: { icon: "exclamation-triangle", text: "off the normal range", rank: 2 },
  high: { icon: "info-circle", text: "above normal", rank: 3 },
  ok: { icon: "check-circle", text: "as expected", rank: 4 },
  none: { icon: "info-circle", text: "no thresholds configured", rank: 5 },
} as const satisfies Record<string, { icon: IconName; text: string; rank: number }>;

export type FootprintLevel = keyof typeof LEVELS;

export interface FootprintBar {
  name: string;
  stat: string;
  value: string;
  peak: string; // empty when none is configured
  part: number; // of the peak, 0 to 1
  level: FootprintLevel;
  icon: IconName;
  text: string;
}

type Measured = Pick<JobRow, "cluster" | "subCluster" | "shared" | "numHWThreads" | "footprint">;

function levelAt(value: number, peak: number, normal: number, caution: number, alert: number, lowerIsBetter: boolean): FootprintLevel {
  if (value > peak) return "suspect";
  if (lowerIsBetter) return value >= alert ? "alert" : value >= caution ? "caution" : "ok";
  return value <= alert ? "alert" : value <= caution ? "caution" : value <= normal ? "ok" : "high";
}

const SCORES: Record<FootprintLevel, number | undefined> = { alert: 0, caution: 0.5, ok: 1, high: 1, suspect: undefined, none: undefined };

/** How well the stored values of jobs lie in their normal ranges, 0 (all far off) to 1; undefined without any. */
export function efficiency(jobs: Measured[], site: Site): number | undefined {
  const scores = jobs.flatMap((job) => footprintBars(job, site).flatMap((bar) => SCORES[bar.level] ?? []));
  return scores.length ? scores.reduce((sum, score) => sum + score, 0) / scores.length : undefined;
}

/** One bar per stored value, those that need a look first. */
export function footprintBars(job: Measured, site: Site): FootprintBar[] {
  const nodeThreads = site.subCluster(job.cluster, job.subCluster)?.topology.node?.length ?? 0;
  return (job.footprint ?? [])
    .flatMap((entry): FootprintBar[] => {
      if (!entry) return [];
      const config = site.metric(job.cluster, job.subCluster, entry.name);
      const share = job.shared !== "none" && entry.stat !== "avg" && nodeThreads ? job.numHWThreads / nodeThreads : 1;
      const peak = (config?.peak ?? 0) * share;
      const level: FootprintLevel = config && peak ? levelAt(entry.value, peak, (config.normal ?? 0) * share, config.caution * share, config.alert * share, config.lowerIsBetter ?? false) : "none";
      const { icon, text } = LEVELS[level];
      return [{ name: entry.name, stat: entry.stat, value: quantity(entry.value, config?.unit), peak: peak ? quantity(peak, config?.unit) : "", part: peak ? Math.min(entry.value / peak, 1) : 0, level, icon, text }];
    })
    .sort((a, b) => LEVELS[a.level].rank - LEVELS[b.level].rank || a.name.localeCompare(b.name));
}
