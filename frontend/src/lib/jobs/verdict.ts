/** Sentences about what stands out in a job, each computed from the curves shown on the same page. */
import type { JobRow, MetricData } from "../api/jobs";
import type { Site } from "../api/site";
import { number, quantity, roughly, seconds } from "../format";

export type Severity = "critical" | "warning" | "info";

export interface Hint {
  id: string;
  severity: Severity;
  text: string;
}

const MINIMUM_RUNTIME = 600; // seconds; before that start-up phases look like trouble
const IDLE_ACCELERATOR = 1; // percent
const LOW_ACCELERATOR = [15, 25] as const; // percent: critical, warning
const LOW_CPU = [0.5, 0.8] as const; // load per allocated core: critical, warning
const IDLE_NODE = { load: 0.05, part: 0.9 };
const OVERSUBSCRIBED = 1.2;
const IMBALANCE = 0.3;
const MEMORY_FULL = 0.95;
const GROWTH_SAMPLES = 60;

type Values = (number | null)[];

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

const present = (values: Values): number[] => values.filter((value): value is number => value !== null);

/** Median of the slopes between pairs (Theil-Sen) over the second half, in units per second. */
function slope(values: Values, timestep: number): number {
  const from = Math.floor(values.length / 2);
  const stride = Math.max(1, Math.floor((values.length - from) / GROWTH_SAMPLES));
  const points: [number, number][] = [];
  for (let index = from; index < values.length; index += stride) {
    const value = values[index];
    if (value !== null && value !== undefined) points.push([index * timestep, value]);
  }
  const slopes: number[] = [];
  for (let a = 0; a < points.length; a += 1) {
    for (let b = a + 1; b < points.length; b += 1) {
      const [first, second] = [points[a], points[b]];
      if (first && second) slopes.push((second[1] - first[1]) / (second[0] - first[0]));
    }
  }
  slopes.sort((a, b) => a - b);
  return slopes[Math.floor(slopes.length / 2)] ?? 0;
}

export function judge(job: JobRow, site: Site, data: MetricData[], elapsed: number): Hint[] {
  const hints: Hint[] = [];
  const add = (id: string, severity: Severity, text: string): void => void hints.push({ id, severity, text });
  const find = (name: string, scope: string): MetricData["metric"] | undefined =>
    data.find((item) => item.name === name && item.scope === scope)?.metric;
  const sub = site.subCluster(job.cluster, job.subCluster);
  const running = job.state === "running";

  if (!running && job.walltime > 0 && job.duration < 0.4 * job.walltime && job.walltime - job.duration > 3600) {
    add(
      "walltime",
      "info",
      `Used ${roughly(job.duration)} of the ${roughly(job.walltime)} requested; a shorter request starts sooner.`,
    );
  }
  if (elapsed < MINIMUM_RUNTIME) return hints;

  const used = find("acc_utilization", "accelerator")?.series ?? [];
  if (used.length && job.numAcc > 0) {
    const averages = used.map((item) => mean(present(item.data))).filter(Number.isFinite);
    const idle = averages.filter((value) => value < IDLE_ACCELERATOR).length;
    const all = mean(averages);
    if (idle) add("idle-gpu", "critical", `${idle} of ${averages.length} GPUs idle: used less than ${IDLE_ACCELERATOR} % on average.`);
    if (averages.length > idle && all < LOW_ACCELERATOR[1]) {
      add("low-gpu", all < LOW_ACCELERATOR[0] ? "critical" : "warning", `GPUs ${number(Math.round(all))} % used on average.`);
    }
  }

  const exclusive = job.shared === "none";
  const threads = job.numHWThreads / job.numNodes;
  const cores = sub && sub.threadsPerCore > 1 && threads > sub.socketsPerNode * sub.coresPerSocket ? threads / sub.threadsPerCore : threads;
  const load = find("cpu_load", "node")?.series ?? [];
  if (load.length && exclusive && cores > 0) {
    const perNode = load.map((item) => ({ host: item.hostname, values: present(item.data) })).filter((item) => item.values.length);
    const idle = perNode.filter(
      (item) => item.values.filter((value) => value < IDLE_NODE.load * cores).length > IDLE_NODE.part * item.values.length,
    );
    if (idle.length && job.numAcc === 0) {
      const names = idle.slice(0, 3).map((item) => item.host).join(", ");
      add("idle-node", "critical", `${idle.length} of ${perNode.length} nodes idle: ${names}${idle.length > 3 ? " …" : ""} (load below ${number(IDLE_NODE.load * cores)} nearly all the time).`);
    }
    const busy = mean(perNode.map((item) => mean(item.values))) / cores;
    if (!idle.length && job.numAcc === 0 && busy < LOW_CPU[1]) {
      add("low-cpu", busy < LOW_CPU[0] ? "critical" : "warning", `Load is ${number(busy * cores)} on ${number(cores)} cores per node (${Math.round(busy * 100)} %).`);
    }
    if (threads > 0 && busy * cores > OVERSUBSCRIBED * threads) {
      add("oversubscribed", "warning", `More work than cores: load ${number(busy * cores)} on ${number(threads)} hardware threads per node.`);
    }
  }

  for (const name of ["flops_any", "cpu_load"]) {
    const metric = find(name, "node");
    const nodes = (metric?.series ?? [])
      .map((item) => ({ host: item.hostname, average: mean(present(item.data)) }))
      .filter((item) => Number.isFinite(item.average))
      .sort((a, b) => a.average - b.average);
    const [least, most] = [nodes[0], nodes.at(-1)];
    if (!least || !most || nodes.length < 2 || most.average <= 0) continue;
    if ((most.average - mean(nodes.map((item) => item.average))) / most.average > IMBALANCE) {
      add("imbalance", "warning", `Uneven work: ${least.host} does ${Math.round((least.average / most.average) * 100)} % of what ${most.host} does (${name}).`);
      break;
    }
  }

  const memory = find("mem_used", "node");
  const capacity = site.metric(job.cluster, job.subCluster, "mem_used")?.peak ?? 0;
  if (memory && capacity > 0 && exclusive) {
    const left = running && job.walltime ? job.walltime - elapsed : 0;
    let worst: { host: string; in: number } | undefined;
    let fullest: { host: string; value: number } | undefined;
    for (const item of memory.series ?? []) {
      const values = present(item.data);
      const [last, top] = [values.at(-1) ?? 0, Math.max(0, ...values)];
      if (top > (fullest?.value ?? 0)) fullest = { host: item.hostname, value: top };
      const growth = slope(item.data, memory.timestep);
      const until = growth > 0 ? (capacity - last) / growth : Infinity;
      if (until > 0 && until < (worst?.in ?? Infinity)) worst = { host: item.hostname, in: until };
    }
    if (fullest && fullest.value > MEMORY_FULL * capacity) {
      add("memory-full", "warning", `Memory nearly full: ${quantity(fullest.value, memory.unit)} of ${quantity(capacity, memory.unit)} on ${fullest.host}.`);
    } else if (running && worst && worst.in < left) {
      add("memory-growth", "warning", `Memory keeps growing: at this pace ${worst.host} is full in about ${roughly(worst.in)}, before the requested time ends.`);
    }
  }

  const order: Severity[] = ["critical", "warning", "info"];
  return hints.sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

/** Elapsed seconds of a job at a point in time. */
export const elapsedOf = (job: JobRow, at: number): number =>
  job.state === "running" ? Math.max(at - seconds(job.startTime), 0) : job.duration;
