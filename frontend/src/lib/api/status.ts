import { query } from "./client";
import type { ClusterStatus } from "./events.svelte";
import { graphql } from "./graphql";
import type { MetricConfig, Site } from "./site";
import { unitText } from "../format";

const NodesQuery = graphql(`
  query Nodes($cluster: String!, $metrics: [String!], $from: Time!, $to: Time!, $running: [JobFilter!]) {
    nodeMetrics(cluster: $cluster, metrics: $metrics, from: $from, to: $to) {
      host
      subCluster
      nodeState
      metrics {
        name
        metric {
          timestep
          series {
            data
          }
        }
      }
    }
    jobs(filter: $running, page: { itemsPerPage: -1, page: 1 }) {
      count
      items {
        resources {
          hostname
        }
      }
    }
  }
`);

const STATUS_METRICS = ["cpu_load", "cpu_user", "flops_any", "mem_bw", "mem_used", "acc_utilization", "net_bw"];
const WINDOW = 300; // seconds
const AHEAD = 60; // seconds; a sample may stand in a slot that ends a little later than now
export const UP_STEPS = 5; // a node is up while its newest sample is younger than this many steps

/** The metrics of a cluster's status, with the configuration of the first subcluster that has each. */
export function statusMetrics(site: Site, cluster: string): MetricConfig[] {
  const all = site.clusters.find((item) => item.name === cluster)?.subClusters.flatMap((sub) => sub.metricConfig) ?? [];
  return STATUS_METRICS.flatMap((name) => all.find((metric) => metric.name === name) ?? []);
}

/** What the live stream would say, asked for once: used while there is no stream. */
export async function askStatus(site: Site, cluster: string, interval: number, signal?: AbortSignal): Promise<ClusterStatus> {
  const metrics = statusMetrics(site, cluster);
  const to = Math.floor(Date.now() / 1000);
  const from = to - WINDOW;
  const answer = await query(
    NodesQuery,
    {
      cluster,
      metrics: metrics.map((metric) => metric.name),
      from: new Date(from * 1000).toISOString(),
      to: new Date((to + AHEAD) * 1000).toISOString(),
      running: [{ cluster: { eq: cluster } }, { state: ["running"] }],
    },
    signal ? { signal, fresh: true } : { fresh: true },
  );
  const jobsOn = new Map<string, number>();
  for (const job of answer.jobs.items) {
    for (const { hostname } of job.resources) jobsOn.set(hostname, (jobsOn.get(hostname) ?? 0) + 1);
  }
  const hosts = [...answer.nodeMetrics].sort((a, b) => a.host.localeCompare(b.host, undefined, { numeric: true }));
  const values: ClusterStatus["values"] = Object.fromEntries(metrics.map((metric) => [metric.name, []]));
  const ages: (number | null)[] = [];
  let up = 0;
  for (const host of hosts) {
    let age: number | null = null;
    let alive = false;
    for (const { name } of metrics) {
      const metric = host.metrics.find((item) => item.name === name)?.metric;
      const data = metric?.series?.[0]?.data ?? [];
      let last = data.length - 1;
      while (last >= 0 && (data[last] === null || data[last] === undefined)) last -= 1;
      values[name]?.push(last >= 0 ? (data[last] ?? null) : null);
      if (last >= 0 && metric) {
        const here = Math.max(to - (from + last * metric.timestep), 0);
        age = age === null ? here : Math.min(age, here);
        alive ||= here < UP_STEPS * metric.timestep;
      }
    }
    ages.push(age);
    if (alive) up += 1;
  }
  const known = site.clusters.find((item) => item.name === cluster);
  return {
    cluster,
    time: to,
    interval,
    nodesUp: up,
    nodesTotal: known?.subClusters.reduce((sum, sub) => sum + sub.numberOfNodes, 0) ?? hosts.length,
    runningJobs: answer.jobs.count ?? answer.jobs.items.length,
    metrics: metrics.map((metric) => ({ name: metric.name, unit: unitText(metric.unit), peak: metric.peak })),
    hosts: hosts.map((item) => item.host),
    subClusters: hosts.map((item) => item.subCluster),
    states: hosts.map((item) => item.nodeState),
    jobs: hosts.map((item) => jobsOn.get(item.host) ?? 0),
    ages,
    values,
  };
}
