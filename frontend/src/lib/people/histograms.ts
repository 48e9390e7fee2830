/** Histograms of the server turned into bars that hold every job. */
import type { Totals } from "../api/people";
import type { Bar } from "../plots/Histogram.svelte";

export const DURATION_BINS: Record<string, { text: string; width: number; bins: number }> = {
  "1m": { text: "1 minute", width: 60, bins: 60 },
  "10m": { text: "10 minutes", width: 600, bins: 72 },
  "1h": { text: "1 hour", width: 3600, bins: 48 },
  "6h": { text: "6 hours", width: 21600, bins: 12 },
  "12h": { text: "12 hours", width: 43200, bins: 14 },
};

/** Points carry the upper edge in seconds; jobs beyond the last edge stand in one open bar. */
export function durationBars(totals: Totals, kind: string, href: (from: number, to: number | undefined) => string): Bar[] {
  const { width, bins } = DURATION_BINS[kind] ?? { width: 3600, bins: 48 };
  const counts = new Map(totals.histDuration.map((point) => [Math.round(point.value / width), point.count]));
  const bars: Bar[] = Array.from({ length: bins }, (_, index) => ({
    from: index * width,
    to: (index + 1) * width,
    count: counts.get(index + 1) ?? 0,
    href: href(index * width, (index + 1) * width),
  }));
  const beyond = totals.totalJobs - bars.reduce((sum, bar) => sum + bar.count, 0);
  if (beyond > 0) bars.push({ from: bins * width, to: undefined, count: beyond, href: href(bins * width, undefined) });
  return bars;
}

const FEW = 40; // different sizes shown one by one

/** Counts per size of a job; many different sizes are put together in powers of two. */
export function sizeBars(points: { value: number; count: number }[], link: (filter: string) => string): Bar[] {
  const href = (from: number, to: number): string => link(to ? `${from}-${to}` : "exactly-0");
  const known = points.filter((point) => point.count > 0).sort((a, b) => a.value - b.value);
  const largest = known.at(-1)?.value ?? 0;
  if (!known.length) return [];
  if (largest <= FEW) {
    const counts = new Map(known.map((point) => [point.value, point.count]));
    return Array.from({ length: largest }, (_, index) => ({ from: index + 1, to: index + 1, count: counts.get(index + 1) ?? 0, href: href(index + 1, index + 1) })).concat(
      counts.has(0) ? [{ from: 0, to: 0, count: counts.get(0) ?? 0, href: href(0, 0) }] : [],
    ).sort((a, b) => a.from - b.from);
  }
  const bars: Bar[] = [];
  for (let from = 1; from <= largest; from *= 2) {
    const to = from * 2 - 1;
    bars.push({ from, to, count: known.filter((point) => point.value >= from && point.value <= to).reduce((sum, point) => sum + point.count, 0), href: href(from, to) });
  }
  const none = known.find((point) => point.value === 0);
  return none ? [{ from: 0, to: 0, count: none.count, href: href(0, 0) }, ...bars] : bars;
}

/** Equal parts of 0..peak; the open one above stands only where a job is in it. `href` takes the filter of a bar. */
export function metricBars(points: { count: number; minF: number | null; maxF: number | null }[], href: (filter: string) => string): Bar[] {
  const plain = (value: number): string => String(Number(value.toPrecision(6)));
  return points
    .filter((point) => point.maxF !== null || point.count)
    .map(({ minF, maxF, count }) => {
      const from = minF ?? 0;
      const filter = maxF === null ? `morethan-${plain(from)}` : from ? `${plain(from)}-${plain(maxF)}` : `lessthan-${plain(maxF)}`;
      return { from, to: maxF ?? undefined, count, href: href(filter) };
    });
}
