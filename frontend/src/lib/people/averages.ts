/** Ranges of averages that choose jobs: as filters of the address, or for one page alone. */
import { parseRange, writeRange, type Range } from "../filters/grammar";

export interface AverageRange {
  metric: string;
  range: Range;
}

/** `to` 0 for no limit. */
export type Span = [from: number, to: number];

export const plain = (value: number): number => Number(value.toPrecision(4));

/** `mem_used:10-20,cpu_power:lessthan-90`; what cannot be read is left out. */
export const parseAverages = (text: string): AverageRange[] =>
  text.split(",").flatMap((part) => {
    const at = part.indexOf(":");
    const range = parseRange(part.slice(at + 1), true);
    return range && at > 0 ? [{ metric: part.slice(0, at), range }] : [];
  });

export const inside = (value: number | null | undefined, { from, to }: Range): boolean =>
  value !== null && value !== undefined && value >= from && (!to || value <= to);

/**
 * The keys of the address with these ranges in place of those of the same metrics. `statOf` names the stored value
 * that is the average of a metric; without one the range is no filter of jobs and stands under `narrow`.
 */
export function withAverages(
  stats: string[],
  narrow: AverageRange[],
  ranges: [metric: string, span: Span][],
  statOf: (metric: string) => string | undefined,
): { stat: string[]; narrow: string } {
  let stat = stats;
  let local = narrow.map(({ metric, range }) => `${metric}:${writeRange(range) ?? ""}`);
  for (const [metric, [from, to]] of ranges) {
    const text = writeRange({ from: plain(from), to: plain(to) });
    const stored = statOf(metric);
    stat = stat.filter((item) => !item.startsWith(`${stored}-`));
    local = local.filter((item) => !item.startsWith(`${metric}:`));
    if (text && stored) stat.push(`${stored}-${text}`);
    else if (text) local.push(`${metric}:${text}`);
  }
  return { stat, narrow: local.join(",") };
}
