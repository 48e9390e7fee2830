/** Everything the public dashboard shows, in one answer that holds nobody's name. */
import { ApiError } from "./client";
import { readNow, type ClusterNow, type ClusterSeries, type NowAnswer } from "./cluster";
import { connection } from "./connection.svelte";
import { align, type NodeItem, type StateHistory } from "./nodes";
import { Site } from "./site";

const HOURS = 8; // of utilization, as the server sends it

/** The parts of the usual answers that the server selects for a display. */
interface Answer extends NowAnswer {
  clusters: Site["clusters"];
  globalMetrics: Site["globalMetrics"];
  clusterMetrics: ClusterSeries;
  node: { state: string; counts: number[]; times: number[] }[];
  nodeMetricsList: { items: NodeItem[] };
  nodesWithMeta: { items: { hostname: string; jobsRunning: number }[] };
}

export interface DisplayData {
  site: Site;
  state: ClusterNow;
  series: { from: number; data: ClusterSeries };
  history: StateHistory;
  nodes: NodeItem[];
  jobs: Map<string, number>; // running, by host
}

/** With the token of the address, or as whoever has a session. */
export async function loadDisplay(cluster: string, token: string | null, signal: AbortSignal): Promise<DisplayData> {
  const query = token === null ? "" : `?${new URLSearchParams({ token }).toString()}`;
  let response: Response;
  try {
    response = await fetch(`/frontend/display/${encodeURIComponent(cluster)}${query}`, { signal });
  } catch (cause) {
    if (signal.aborted) throw cause;
    connection.lost();
    throw new ApiError("network", "The server cannot be reached.", String(cause));
  }
  connection.found();
  if (response.status === 401) throw new ApiError("refused", "This display was switched off, or the session has ended.");
  const { data } = (response.ok ? await response.json() : {}) as { data?: Answer | null };
  if (!data) throw new ApiError("server", `The server answered with an error (${response.status}).`);
  return {
    site: new Site(data),
    state: readNow(data),
    series: { from: Math.floor(Date.now() / 1000) - HOURS * 3600, data: data.clusterMetrics },
    history: align(data.node),
    nodes: data.nodeMetricsList.items,
    jobs: new Map(data.nodesWithMeta.items.map((item) => [item.hostname, item.jobsRunning])),
  };
}
