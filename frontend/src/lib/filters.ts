/** The filters of a jobs list: how they stand in the URL and what they become for the server. */
import type { graphql } from "./api/graphql";

export type Filter = ReturnType<typeof graphql.scalar<"JobFilter">>;

export const JOB_STATES = [
  "running",
  "completed",
  "failed",
  "timeout",
  "cancelled",
  "out_of_memory",
  "node_fail",
  "preempted",
  "pending",
  "suspended",
  "deadline",
  "boot_fail",
] as const;

export const TIME_RANGES: Record<string, string> = {
  last6h: "last 6 hours",
  last24h: "last 24 hours",
  last7d: "last 7 days",
  last30d: "last 30 days",
};

export interface ParsedFilters {
  filters: Filter[];
  /** Keys of the URL whose value makes no sense; they do not filter. */
  dropped: string[];
}

const isNumber = (text: string): boolean => /^\d+$/.test(text);

function intRange(text: string): { from: number; to: number } | undefined {
  const between = /^(\d+)-(\d+)$/.exec(text);
  if (between) return { from: Number(between[1]), to: Number(between[2]) };
  const open = /^(less|more)than-(\d+)$/.exec(text);
  if (!open) return undefined;
  return open[1] === "less" ? { from: 0, to: Number(open[2]) } : { from: Number(open[2]), to: 0 };
}

function startTime(text: string): Filter | undefined {
  if (text in TIME_RANGES) return { startTime: { range: text } };
  const between = /^(\d+)-(\d+)$/.exec(text);
  if (!between) return undefined;
  const time = (seconds: string | undefined): string | undefined =>
    seconds && seconds !== "0" ? new Date(Number(seconds) * 1000).toISOString() : undefined;
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

  take("cluster", ([name = ""]) => ({ cluster: { eq: name } }));
  take("subCluster", ([name = ""]) => ({ subCluster: { eq: name } }));
  take("partition", ([name = ""]) => ({ partition: { eq: name } }));
  take("state", (values) => {
    const known = values.filter((value) => (JOB_STATES as readonly string[]).includes(value));
    if (!known.length) return undefined;
    return known.length === JOB_STATES.length ? {} : { state: known };
  });
  take("startTime", ([text = ""]) => startTime(text));
  take("duration", ([text = ""]) => {
    const range = intRange(text);
    return range && { duration: range };
  });
  take("user", (values) => ({ user: textFilter(values, how("userMatch", "contains")) }));
  take("project", (values) => ({ project: textFilter(values, how("projectMatch", "contains")) }));
  take("jobName", ([text = ""]) => ({ jobName: { contains: text } }));
  take("jobId", (values) => (values.every(isNumber) ? { jobId: textFilter(values, how("jobIdMatch", "eq")) } : undefined));
  take("arrayJobId", ([text = ""]) => (isNumber(text) ? { arrayJobId: Number(text) } : undefined));
  take("dbId", (values) => (values.every(isNumber) ? { dbId: values } : undefined));
  take("node", ([text = ""]) => ({ node: textFilter([text], how("nodeMatch", "eq")) }));
  take("numNodes", ([text = ""]) => {
    const range = intRange(text);
    return range && { numNodes: range };
  });
  take("numAccelerators", ([text = ""]) => {
    const range = intRange(text);
    return range && { numAccelerators: range };
  });
  return { filters, dropped };
}

/** Keys of the query string that belong to the filters above. */
export const FILTER_KEYS = [
  "cluster",
  "subCluster",
  "partition",
  "state",
  "startTime",
  "duration",
  "user",
  "project",
  "jobName",
  "jobId",
  "arrayJobId",
  "dbId",
  "node",
  "numNodes",
  "numAccelerators",
] as const;
export type FilterKey = (typeof FILTER_KEYS)[number];

const LABELS: Record<FilterKey, string> = {
  cluster: "cluster",
  subCluster: "subcluster",
  partition: "partition",
  state: "state",
  startTime: "started",
  duration: "duration",
  user: "user",
  project: "project",
  jobName: "job name",
  jobId: "job number",
  arrayJobId: "array job",
  dbId: "database id",
  node: "node",
  numNodes: "nodes",
  numAccelerators: "accelerators",
};

export const labelOf = (key: FilterKey): string => LABELS[key];

/** The value of a filter as a person would say it. */
export function describeFilter(key: FilterKey, values: string[]): string {
  const [first = ""] = values;
  if (key === "startTime") {
    if (first in TIME_RANGES) return TIME_RANGES[first] ?? first;
    const [from = "0", to = "0"] = first.split("-");
    const day = (text: string): string => new Date(Number(text) * 1000).toISOString().slice(0, 10);
    if (from === "0") return `until ${day(to)}`;
    return to === "0" ? `since ${day(from)}` : `${day(from)} to ${day(to)}`;
  }
  return values.map((value) => value.replaceAll("_", " ")).join(", ");
}
