import uPlot from "uplot";

let groups = 0;

/** Plots that share one time axis: the cursor moves in all of them and a zoom holds for all. */
export class PlotGroup {
  /** Visible range in seconds since the start; undefined shows everything. */
  zoom = $state<[number, number] | undefined>(undefined);
  readonly sync: uPlot.SyncPubSub;

  constructor(zoom?: [number, number]) {
    this.zoom = zoom;
    groups += 1;
    this.sync = uPlot.sync(`plots-${groups}`);
  }

  reset = (): void => {
    this.zoom = undefined;
  };
}
