/** Which of many curves a plot shows. */
const FENCE = 1.5; // interquartile ranges, Tukey's fence (Exploratory Data Analysis, 1977)

/** Indices of the curves whose average lies far outside the middle half of all. */
export function outliers(curves: { average: number | null }[]): Set<number> {
  const known = curves.flatMap((curve) => curve.average ?? []).sort((a, b) => a - b);
  if (known.length < 4) return new Set();
  const at = (part: number): number => known[Math.floor(part * (known.length - 1))] ?? 0;
  const room = FENCE * (at(0.75) - at(0.25));
  const [low, high] = [at(0.25) - room, at(0.75) + room];
  return new Set(curves.flatMap((curve, index) => (curve.average !== null && (curve.average < low || curve.average > high) ? index : [])));
}

/** The curves left by isolating one or hiding some; undefined for all. */
export function shownCurves(count: number, isolated: number | undefined, hidden: Set<number>): Set<number> | undefined {
  if (isolated !== undefined) return new Set([isolated]);
  return hidden.size ? new Set(Array.from({ length: count }, (_, index) => index).filter((index) => !hidden.has(index))) : undefined;
}
