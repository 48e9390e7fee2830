/** Numbers, units and times as people read them; the same everywhere. Times in seconds. */
import { DATE_FORMATS, localTime, zone, zoneAbbreviation } from "./zone.svelte";

export interface UnitParts {
  base: string;
  prefix?: string | null;
}

const PREFIXES = ["", "k", "M", "G", "T", "P", "E"];
const NEVER_SCALED = new Set(["", "%", "C", "°C", "load"]);
const THIN_SPACE = "\u2009";

/** A factor to multiply values with, and the unit that then stands beside them. */
export interface Scale {
  factor: number;
  unit: string;
}

/** Picks the prefix with which `largest` (in `unit`) needs one to three digits before the point. */
export function scaleFor(unit: UnitParts | null | undefined, largest: number): Scale {
  const base = unit?.base ?? "";
  const prefix = unit?.prefix ?? "";
  const place = PREFIXES.indexOf(prefix === "K" ? "k" : prefix);
  if (NEVER_SCALED.has(base) || place < 0 || !Number.isFinite(largest)) return { factor: 1, unit: prefix + base };
  let rest = Math.abs(largest);
  let index = place;
  while (rest >= 1000 && index < PREFIXES.length - 1) {
    rest /= 1000;
    index += 1;
  }
  while (rest > 0 && rest < 1 && index > 0) {
    rest *= 1000;
    index -= 1;
  }
  return { factor: 1000 ** (place - index), unit: `${PREFIXES[index]}${base}` };
}

/** "GB/s" as sent by the live stream, split into prefix and base. */
export function splitUnit(text: string): UnitParts {
  const known = /^([kKMGTPE])(B|F|W|J|b|Hz|packets|IO|op)(.*)$/.exec(text);
  return known ? { prefix: known[1], base: `${known[2]}${known[3]}` } : { prefix: "", base: text };
}

/** At most two decimals; three significant digits below 1; thin spaces between thousands. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const decimals = size >= 1000 ? 0 : size >= 100 ? 1 : 2;
  const text = size < 1 ? Number(value.toPrecision(3)).toString() : Number(value.toFixed(decimals)).toString();
  const [whole = "", fraction] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, THIN_SPACE);
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** For narrow cells: three digits or two decimals, whatever is shorter. */
export const short = (value: number): string => {
  const size = Math.abs(value);
  return number(Number(value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)));
};

/** The next number that reads well at the end of a scale. */
export function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const decade = 10 ** Math.floor(Math.log10(value));
  return decade * ([1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8].find((step) => step * decade >= value) ?? 10);
}

export const count = (value: number | null | undefined): string =>
  value === null || value === undefined ? "–" : String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, THIN_SPACE);

/** "12.3 GB/s", prefix chosen for this value alone. */
export function quantity(value: number | null | undefined, unit: UnitParts | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const scale = scaleFor(unit, value);
  return withUnit(number(value * scale.factor), scale.unit);
}

export const withUnit = (text: string, unit: string): string =>
  unit === "" ? text : unit === "%" ? `${text} %` : `${text}\u00a0${unit}`;

export const unitText = (unit: UnitParts | null | undefined): string => `${unit?.prefix ?? ""}${unit?.base ?? ""}`;

const two = (value: number): string => String(value).padStart(2, "0");

/** h:mm:ss, from 100 hours on d-hh:mm:ss. */
export function duration(seconds: number): string {
  const rest = Math.max(0, Math.floor(seconds));
  const hours = Math.floor(rest / 3600);
  const tail = `${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`;
  return hours >= 100 ? `${Math.floor(hours / 24)}-${two(hours % 24)}:${tail}` : `${hours}:${tail}`;
}

/** "2 d 4 h", "3 h 20 min", "45 s": for reading, not for adding up. */
export function roughly(seconds: number): string {
  const rest = Math.max(0, Math.round(seconds));
  if (rest < 60) return `${rest} s`;
  const minutes = Math.round(rest / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** YYYY-MM-DD as the person likes days to be written. */
function dayText(iso: string): string {
  const [year = "", month = "", day = ""] = iso.split("-");
  return DATE_FORMATS[zone.dates].write(year, month, day);
}

/** Day and HH:mm in the chosen zone. */
export function dateTime(seconds: number): string {
  const { day, time } = localTime(seconds);
  return `${dayText(day)} ${time.slice(0, 5)}`;
}

/** The same to the second, with the name of the zone: for tooltips and what is read out. */
export function momentText(seconds: number): string {
  const { day, time } = localTime(seconds);
  return `${dayText(day)} ${time} ${zoneAbbreviation(seconds)}`;
}

export const clock = (seconds: number): string => localTime(seconds).time;

export const seconds = (time: string): number => Math.floor(Date.parse(time) / 1000);

export const plural = (amount: number, word: string): string => `${count(amount)} ${word}${amount === 1 ? "" : "s"}`;

/** n2 before n10. */
export const byName = (a: string, b: string): number => a.localeCompare(b, undefined, { numeric: true });
