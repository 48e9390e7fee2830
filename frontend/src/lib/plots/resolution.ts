/** Which spacing of points to ask for, so that a zoom shows what was measured. */

export interface Resampling {
  trigger: number;
  resolutions: number[]; // seconds
}

/**
 * Seconds between points for a visible range. `shown` is the spacing on the screen, 0 the native one.
 * While more than `trigger` points are visible it stays; otherwise the configured spacing closest to
 * that many points is taken, unless it is no finer.
 */
export function resolutionFor(visible: number | undefined, shown: number, resampling: Resampling | null): number {
  if (!visible || !shown || !resampling?.resolutions.length || visible / shown > resampling.trigger) return shown;
  const target = visible / resampling.trigger;
  const closest = resampling.resolutions.reduce((best, item) => (Math.abs(item - target) < Math.abs(best - target) ? item : best));
  return Math.min(shown, closest);
}
