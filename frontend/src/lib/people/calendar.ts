/** Jobs as days of core hours, and weeks of how well they used the machine. */
import { coreHours, type BriefJob } from "../api/jobs";
import type { Site } from "../api/site";
import { efficiency } from "../jobs/footprint";
import { fromField, localTime } from "../zone.svelte";

const DAY = 86400;
const MOST_WEEKS = 53;

export interface Week {
  /** From Monday on; `day` is YYYY-MM-DD in the chosen zone. */
  days: { day: string; hours: number }[];
  /** Of the jobs that started in this week, 0 to 1. */
  efficiency: number | undefined;
  jobs: number;
}

const noon = (day: string): number => Date.parse(`${day}T12:00:00Z`) / 1000;
const dayOf = (seconds: number): string => new Date(seconds * 1000).toISOString().slice(0, 10);
const monday = (day: string): string => dayOf(noon(day) - ((new Date(noon(day) * 1000).getUTCDay() + 6) % 7) * DAY);

/** Where the weeks of the latest year begin, in unix seconds and the chosen zone; the last one is the end of this week. */
export function weekEdges(now: number): number[] {
  const next = noon(monday(localTime(now).day)) + 7 * DAY;
  return Array.from({ length: MOST_WEEKS + 1 }, (_, index) => fromField(`${dayOf(next - (MOST_WEEKS - index) * 7 * DAY)}T00:00`));
}

/** Core hours per day in the chosen zone; a job counts on each day it ran on. */
function hoursPerDay(jobs: BriefJob[], now: number): Map<string, number> {
  const hours = new Map<string, number>();
  for (const job of jobs) {
    const start = Date.parse(job.startTime) / 1000;
    const end = job.state === "running" ? Math.max(now, start) : start + job.duration;
    const perSecond = end > start ? coreHours(job, now) / (end - start) : 0;
    for (let from = start; from < end; ) {
      const { day, time } = localTime(from);
      const [hour = 0, minute = 0, second = 0] = time.split(":").map(Number);
      const until = Math.min(end, from + DAY - (hour * 3600 + minute * 60 + second));
      hours.set(day, (hours.get(day) ?? 0) + perSecond * (until - from));
      from = until;
    }
  }
  return hours;
}

/** Whole weeks from the first job to `now` (unix seconds), the latest year of them. */
export function weeksOf(jobs: BriefJob[], site: Site, now: number): Week[] {
  if (!jobs.length) return [];
  const hours = hoursPerDay(jobs, now);
  const started = new Map<string, BriefJob[]>();
  for (const job of jobs) {
    const week = monday(localTime(Date.parse(job.startTime) / 1000).day);
    started.set(week, [...(started.get(week) ?? []), job]);
  }
  const last = monday(localTime(now).day);
  const first = Math.max(noon([...started.keys()].sort()[0] ?? last), noon(last) - (MOST_WEEKS - 1) * 7 * DAY);
  const weeks: Week[] = [];
  for (let week = first; week <= noon(last); week += 7 * DAY) {
    const members = started.get(dayOf(week)) ?? [];
    const days = Array.from({ length: 7 }, (_, index) => dayOf(week + index * DAY));
    weeks.push({ days: days.map((day) => ({ day, hours: hours.get(day) ?? 0 })), efficiency: efficiency(members, site), jobs: members.length });
  }
  return weeks;
}
