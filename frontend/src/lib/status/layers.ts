/** States of nodes over time, as layers with the list behind each. */
import { stateColour } from "../plots/palette";
import type { Layer } from "../plots/Stacked.svelte";
import { linksOf } from "./capacity";

type Counted = { state: string; counts: number[] }[];

const STATES = ["allocated", "mixed", "idle", "reserved", "unknown", "down"];
const HEALTH = ["full", "partial", "failed"];

const layers = (all: Counted, order: string[], href: (state: string) => string): Layer[] =>
  [...all]
    .sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state))
    .map((item) => ({ name: item.state, colour: stateColour(item.state), counts: item.counts, href: href(item.state) }));

export const nodesInState = (cluster: string, state: string): string => linksOf(cluster).nodes({ state });
export const nodesInHealth = (cluster: string, health: string): string =>
  `/monitoring/status/detail/${encodeURIComponent(cluster)}?${new URLSearchParams({ tab: "metrics", health }).toString()}`;

export const stateLayers = (cluster: string, all: Counted): Layer[] => layers(all, STATES, (state) => nodesInState(cluster, state));
export const healthLayers = (cluster: string, all: Counted): Layer[] => layers(all, HEALTH, (health) => nodesInHealth(cluster, health));
