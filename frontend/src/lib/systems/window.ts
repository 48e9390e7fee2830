/** The time a systems view looks at, as it stands in the address. */
import type { Window } from "../api/nodes";

export const RANGES: [seconds: number, text: string][] = [
  [900, "last quarter hour"],
  [1800, "last half hour"],
  [3600, "last hour"],
  [7200, "last 2 hours"],
  [14400, "last 4 hours"],
  [43200, "last 12 hours"],
  [86400, "last 24 hours"],
];
const DEFAULT = 14400;
const LONGEST = 31 * 86400;

export interface ChosenTime {
  /** Seconds back from now; 0 for a fixed window. */
  range: number;
  fixed: Window | undefined;
  /** The address had times that make no sense. */
  senseless: boolean;
}

function moment(text: string | null): number | undefined {
  if (text === null || text === "") return undefined;
  const seconds = /^\d{1,12}$/.test(text) ? Number(text) : Date.parse(text) / 1000;
  return Number.isFinite(seconds) ? Math.floor(seconds) : NaN;
}

/** Reads `range`, or `from` and `to` as unix seconds or RFC 3339. */
export function readTime(params: URLSearchParams): ChosenTime {
  const [from, to] = [moment(params.get("from")), moment(params.get("to"))];
  if (from !== undefined || to !== undefined) {
    const end = to ?? Math.floor(Date.now() / 1000);
    if (from !== undefined && Number.isFinite(from) && Number.isFinite(end) && from < end && end - from <= LONGEST) {
      return { range: 0, fixed: { from, to: end }, senseless: false };
    }
    return { range: DEFAULT, fixed: undefined, senseless: true };
  }
  const text = params.get("range");
  if (text === null) return { range: DEFAULT, fixed: undefined, senseless: false };
  const range = Number(text);
  return range > 0 && range <= LONGEST
    ? { range: Math.floor(range), fixed: undefined, senseless: false }
    : { range: DEFAULT, fixed: undefined, senseless: true };
}

export function windowNow(chosen: ChosenTime): Window {
  if (chosen.fixed) return chosen.fixed;
  const to = Math.floor(Date.now() / 1000);
  return { from: to - chosen.range, to };
}
