/** The filters of a jobs list: how they stand in the URL and what they become for the server. */
import type { graphql } from "../api/graphql";
import { dateTime, number, roughly } from "../format";

export type Filter = ReturnType<typeof graphql.scalar<"JobFilter">>;

export const JOB_STATES = [
  "pending",
  "running",
  "completed",
  "failed",
  "timeout",
  "deadline",
  "preempted",
  "suspended",
  "cancelled",
  "out_of_memory",
  "boot_fail",
  "node_fail",
] as const;

export const TIME_RANGES: Record<string, string> = {
  last6h: "Last 6 hrs",
  last24h: "Last 24 hrs",
  last7d: "Last 7 days",
  last30d: "Last 30 days",
};

export const SHARING: Record<string, string> = { none: "exclusive", single_user: "multitask", multi_user: "shared" };

export interface ParsedFilters {
  filters: Filter[];
  /** Keys of the URL whose value makes no sense; they do not filter. */
  dropped: string[];
}

export interface Range {
  from: number; // 0: open
  to: number; // 0: open
  /** The one value wanted; the bounds then say nothing. It alone can ask for 0. */
  exact?: number;
}

const isNumber = (text: string): boolean => /^\d{1,15}$/.test(text);

/** `a-b`, `lessthan-n`, `morethan-n` or `exactly-n`; decimals where `decimal`. */
export function parseRange(text: string, decimal = false): Range | undefined {
  const digits = decimal ? "\\d+(?:\\.\\d+)?(?:[eE][+-]?\\d+)?" : "\\d+";
  const between = new RegExp(`^(${digits})-(${digits})$`).exec(text);
  if (between) {
    const range = { from: Number(between[1]), to: Number(between[2]) };
    return range.to && range.to < range.from ? undefined : range;
  }
  const exactly = new RegExp(`^exactly-(${digits})$`).exec(text);
  if (exactly) return { from: 0, to: 0, exact: Number(exactly[1]) };
  const open = new RegExp(`^(less|more)than-(${digits})$`).exec(text);
  if (!open) return undefined;
  return open[1] === "less" ? { from: 0, to: Number(open[2]) } : { from: Number(open[2]), to: 0 };
}

/** The other way round; undefined when both ends are open. */
export function writeRange({ from, to, exact }: Range): string | undefined {
  if (exact !== undefined) return `exactly-${exact}`;
  if (!from && !to) return undefined;
  if (!from) return `lessthan-${to}`;
  return to ? `${from}-${to}` : `morethan-${from}`;
}

export interface StatFilter {
  name: string; // <metric>_<stat>
  range: Range;
}

/** `flops_any_avg-1.5-20`, read from the right because metric names are free. */
export function parseStat(text: string): StatFilter | undefined {
  const found = /^([A-Za-z0-9_]+_(?:min|avg|max))-(.+)$/.exec(text);
  const range = found?.[2] === undefined ? undefined : parseRange(found[2], true);
  return found?.[1] && range ? { name: found[1], range } : undefined;
}

function startTime(text: string): Filter | undefined {
  if (text in TIME_RANGES) return { startTime: { range: text } };
  const between = /^(\d{1,12})-(\d{1,12})$/.exec(text);
  if (!between) return undefined;
  const time = (seconds: string | undefined): string | undefined =>
    seconds && Number(seconds) !== 0 ? new Date(Number(seconds) * 1000).toISOString() : undefined;
  const [from, to] = [time(between[1]), time(between[2])];
  return { startTime: { ...(from ? { from } : {}), ...(to ? { to } : {}) } };
}

function textFilter(values: string[], how: string): { eq: string } | { contains: string } | { in: string[] } {
  const [only = ""] = values;
  if (values.length > 1) return { in: values };
  return how === "contains" ? { contains: only } : { eq: only };
}

/** Reads the query string by the grammar of the interface contract; unknown keys are left alone. */
export function parseFilters(params: URLSearchParams): ParsedFilters {
  const filters: Filter[] = [];
  const dropped: string[] = [];
  const take = (key: string, make: (values: string[]) => Filter | undefined): void => {
    const values = params.getAll(key).filter((value) => value !== "");
    if (!values.length) return;
    const made = make(values);
    if (made) filters.push(made);
    else dropped.push(key);
  };
  const how = (key: string, fallback: string): string => params.get(key) ?? fallback;
  const int = (key: "duration" | "numNodes" | "numHWThreads" | "numAccelerators"): void =>
    take(key, ([text = ""]) => {
      const range = parseRange(text);
      return range && { [key]: range };
    });

  take("cluster", ([name = ""]) => ({ cluster: { eq: name } }));
  take("subCluster", ([name = ""]) => ({ subCluster: { eq: name } }));
  take("partition", ([name = ""]) => ({ partition: { eq: name } }));
  take("state", (values) => {
    const known = values.filter((value) => (JOB_STATES as readonly string[]).includes(value));
    if (!known.length) return undefined;
    return known.length === JOB_STATES.length ? {} : { state: known };
  });
  take("shared", ([value = ""]) => (value in SHARING ? { shared: value } : undefined));
  take("schedule", ([value = ""]) => (value === "interactive" || value === "batch" ? { schedule: value } : undefined));
  take("startTime", ([text = ""]) => startTime(text));
  int("duration");
  take("user", (values) => ({ user: textFilter(values, how("userMatch", "contains")) }));
  take("project", (values) => ({ project: textFilter(values, how("projectMatch", "contains")) }));
  take("jobName", ([text = ""]) => ({ jobName: { contains: text } }));
  take("jobId", (values) => (values.every(isNumber) ? { jobId: textFilter(values, how("jobIdMatch", "eq")) } : undefined));
  take("arrayJobId", ([text = ""]) => (isNumber(text) ? { arrayJobId: Number(text) } : undefined));
  take("dbId", (values) => (values.every(isNumber) ? { dbId: values } : undefined));
  const tagMode = params.get("tagMode") === "and" ? { tagMode: "AND" as const } : {};
  take("tag", (values) => (values.every(isNumber) ? { tags: values, ...tagMode } : undefined));
  take("tagNot", (values) => (values.every(isNumber) ? { tagsNot: values } : undefined));
  take("node", ([text = ""]) => ({ node: textFilter([text], how("nodeMatch", "eq")) }));
  int("numNodes");
  int("numHWThreads");
  int("numAccelerators");
  take("energy", ([text = ""]) => {
    const range = parseRange(text, true);
    return range && { energy: range };
  });
  take("stat", (values) => {
    const stats = values.map(parseStat);
    if (stats.some((item) => !item)) return undefined;
    return { metricStats: stats.flatMap((item) => (item ? { metricName: item.name, range: item.range } : [])) };
  });
  return { filters, dropped };
}

/** Keys of the query string that belong to the filters above. */
export const FILTER_KEYS = [
  "cluster",
  "subCluster",
  "partition",
  "state",
  "shared",
  "schedule",
  "startTime",
  "duration",
  "tag",
  "tagNot",
  "user",
  "project",
  "jobName",
  "jobId",
  "arrayJobId",
  "dbId",
  "node",
  "numNodes",
  "numHWThreads",
  "numAccelerators",
  "energy",
  "stat",
] as const;
export type FilterKey = (typeof FILTER_KEYS)[number];

/** Keys that say how a filter is meant; they go with it. */
export const MATCH_KEYS: Partial<Record<FilterKey, string>> = {
  user: "userMatch",
  project: "projectMatch",
  jobId: "jobIdMatch",
  node: "nodeMatch",
  tag: "tagMode",
};

/** All keys of the query string that say which jobs are meant. */
export const QUERY_KEYS: readonly string[] = [...FILTER_KEYS, ...Object.values(MATCH_KEYS)];

const LABELS: Record<FilterKey, string> = {
  cluster: "cluster",
  subCluster: "subcluster",
  partition: "partition",
  state: "state",
  shared: "sharing",
  schedule: "kind",
  startTime: "started",
  duration: "duration",
  tag: "tag",
  tagNot: "without tag",
  user: "user",
  project: "project",
  jobName: "job name",
  jobId: "job number",
  arrayJobId: "array job",
  dbId: "database id",
  node: "node",
  numNodes: "nodes",
  numHWThreads: "hardware threads",
  numAccelerators: "accelerators",
  energy: "energy",
  stat: "statistics",
};

export const labelOf = (key: FilterKey): string => LABELS[key];

const FEW_JOBS = 5; // whose ids can be read one by one

const describeRange = (range: Range, say: (value: number) => string): string => {
  if (range.exact !== undefined) return `exactly ${say(range.exact)}`;
  if (!range.from) return `up to ${say(range.to)}`;
  return range.to ? `${say(range.from)} to ${say(range.to)}` : `from ${say(range.from)}`;
};

/** The value of a filter as a person would say it. */
export function describeFilter(key: FilterKey, values: string[], params?: URLSearchParams): string {
  const [first = ""] = values;
  switch (key) {
    case "startTime": {
      if (first in TIME_RANGES) return TIME_RANGES[first] ?? first;
      const [from = "0", to = "0"] = first.split("-");
      const day = (text: string): string => dateTime(Number(text));
      if (!Number(from)) return Number(to) ? `until ${day(to)}` : first;
      return Number(to) ? `${day(from)} to ${day(to)}` : `since ${day(from)}`;
    }
    case "duration":
    case "numNodes":
    case "numHWThreads":
    case "numAccelerators":
    case "energy": {
      const range = parseRange(first, key === "energy");
      if (!range) return first;
      return describeRange(range, key === "duration" ? roughly : (value) => `${number(value)}${key === "energy" ? " kWh" : ""}`);
    }
    case "stat":
      return values
        .map((text) => {
          const stat = parseStat(text);
          return stat ? `${stat.name} ${describeRange(stat.range, number)}` : text;
        })
        .join(", ");
    case "dbId":
      return values.length > FEW_JOBS ? `${values.length} jobs` : values.join(", ");
    case "shared":
      return SHARING[first] ?? first;
    default: {
      const match = MATCH_KEYS[key];
      const contains = match && values.length === 1 && (params?.get(match) ?? (key === "user" || key === "project" ? "contains" : "eq")) === "contains";
      return `${contains || key === "jobName" ? "has " : ""}${values.map((value) => (key === "state" ? value.replaceAll("_", " ") : value)).join(", ")}`;
    }
  }
}
