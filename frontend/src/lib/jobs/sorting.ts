/** What jobs can be sorted by. */
import type { JobOrder } from "../api/jobs";
import type { Site } from "../api/site";

export interface SortField {
  field: string;
  label: string;
}

export interface Sort {
  field: string;
  up: boolean;
}

export const USUAL: Sort = { field: "startTime", up: false };

const COLUMNS: SortField[] = [
  { field: "startTime", label: "Start Time (Default)" },
  { field: "duration", label: "Duration" },
  { field: "numNodes", label: "Number of Nodes" },
  { field: "numHwthreads", label: "Number of HWThreads" },
  { field: "numAcc", label: "Number of Accelerators" },
  { field: "energy", label: "Total Energy" },
];

/** Columns of a job first, then every average that is kept of it. */
export const sortFields = (site: Site | undefined): SortField[] => [
  ...COLUMNS,
  ...(site?.globalMetrics ?? []).flatMap((metric) =>
    metric.footprint ? [{ field: `${metric.name}_${metric.footprint}`, label: `${metric.name} (${metric.footprint})` }] : [],
  ),
];

/** The order an address asks for: `<field>:asc` or `<field>:desc`. */
export function readSort(text: string | null): Sort {
  const [field, direction] = (text ?? "").split(":");
  return field ? { field, up: direction === "asc" } : USUAL;
}

/** As an address has it; the usual order is not written. */
export const writeSort = (sort: Sort): string | undefined =>
  sort.field === USUAL.field && sort.up === USUAL.up ? undefined : `${sort.field}:${sort.up ? "asc" : "desc"}`;

export const orderOf = (sort: Sort): JobOrder => ({
  field: sort.field,
  type: COLUMNS.some((item) => item.field === sort.field) ? "col" : "foot",
  order: sort.up ? "ASC" : "DESC",
});
