/** The time zone in which every time is shown and typed; addresses carry unix seconds and do not depend on it. */
import { boot } from "./api/boot";

export type ZoneChoice = "browser" | "UTC" | (string & {});

const BROWSER = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

function known(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

const given = boot.config["ui_timezone"];

/** How days are written; a day arrives as YYYY-MM-DD. */
export const DATE_FORMATS = {
  iso: { label: "2026-12-31", write: (year: string, month: string, day: string) => `${year}-${month}-${day}` },
  dmy: { label: "31.12.2026", write: (year: string, month: string, day: string) => `${day}.${month}.${year}` },
  mdy: { label: "12/31/2026", write: (year: string, month: string, day: string) => `${month}/${day}/${year}` },
};
export type DateFormat = keyof typeof DATE_FORMATS;

const dates = String(boot.config["ui_dateFormat"] ?? "iso");

class Zone {
  dates = $state<DateFormat>(dates in DATE_FORMATS ? (dates as DateFormat) : "iso");
  choice = $state<ZoneChoice>(typeof given === "string" && (given === "browser" || known(given)) ? given : "browser");

  get name(): string {
    return this.choice === "browser" ? BROWSER : this.choice;
  }
}

export const zone = new Zone();

const formats = new Map<string, Intl.DateTimeFormat>();

function format(name: string): Intl.DateTimeFormat {
  let made = formats.get(name);
  if (!made) {
    made = new Intl.DateTimeFormat("en-GB", {
      timeZone: name,
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: "h23",
    });
    formats.set(name, made);
  }
  return made;
}

export interface LocalTime {
  day: string; // YYYY-MM-DD
  time: string; // HH:mm:ss
}

/** A point in time as calendar and clock of the chosen zone show it. */
export function localTime(seconds: number): LocalTime {
  const parts: Record<string, string> = {};
  for (const { type, value } of format(zone.name).formatToParts(seconds * 1000)) parts[type] = value;
  return {
    day: `${parts["year"]}-${parts["month"]}-${parts["day"]}`,
    time: `${parts["hour"]}:${parts["minute"]}:${parts["second"]}`,
  };
}

/** Seconds that the zone is ahead of UTC at a point in time. */
function ahead(seconds: number): number {
  const { day, time } = localTime(seconds);
  return Math.round(Date.parse(`${day}T${time}Z`) / 1000 - Math.floor(seconds));
}

/** What a date-and-time field shows for a point in time. */
export function toField(seconds: number): string {
  const { day, time } = localTime(seconds);
  return `${day}T${time.slice(0, 5)}`;
}

/** The point in time a date-and-time field means in the chosen zone; NaN when it is empty. */
export function fromField(text: string): number {
  const wall = Math.floor(Date.parse(`${text}Z`) / 1000);
  if (!Number.isFinite(wall)) return NaN;
  // Twice, because the first guess may lie on the other side of a change of the clock.
  return wall - ahead(wall - ahead(wall));
}

/** "CET", "CEST", "UTC" or "GMT-5": what the zone is called at a point in time. */
export function zoneAbbreviation(seconds: number): string {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone: zone.name, timeZoneName: "short" }).formatToParts(seconds * 1000);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? zone.name;
}
