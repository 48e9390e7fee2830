import uPlot from "uplot";

let groups = 0;

/** How the y axis runs: from zero in equal steps, in powers of ten, or over the values in sight only. */
export type YScale = "linear" | "log" | "fit";

/** Plots that share one time axis: the cursor moves in all of them and a zoom holds for all. */
export class PlotGroup {
  /** Visible range in seconds since the start; undefined shows everything. */
  zoom = $state<[number, number] | undefined>(undefined);
  y = $state<YScale>("linear");
  /** Whether thresholds are drawn. */
  limits = $state(true);
  /** Whether plots of run time show the clock instead. */
  clock = $state(false);
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
