import { untrack } from "svelte";
import { ApiError, describe, isAbort } from "./client";
import { connection } from "./connection.svelte";

export type PanelState = "loading" | "ready" | "error";

/**
 * Data of one panel: loads when the values read by `load` change, aborts what is no longer wanted,
 * keeps the last answer while a newer one is under way or fails.
 */
export class Resource<T> {
  data = $state.raw<T | undefined>(undefined);
  error = $state.raw<{ message: string; detail: string } | undefined>(undefined);
  busy = $state(true);
  loadedAt = $state(0); // unix seconds
  #controller: AbortController | undefined;
  #paused = false;
  #load: (signal: AbortSignal, fresh: boolean) => Promise<T>;

  /** Call while a component initialises: the effect ends with the component. */
  constructor(load: (signal: AbortSignal, fresh: boolean) => Promise<T>, options: { keep?: boolean } = {}) {
    this.#load = load;
    $effect(() => {
      void this.#start(false, options.keep ?? true);
      return () => this.#controller?.abort();
    });
  }

  get state(): PanelState {
    if (this.data !== undefined) return "ready";
    return this.error ? "error" : "loading";
  }

  /** Asks again, past the cache; what is shown stays until the answer is there. */
  refresh = (): Promise<void> => untrack(() => this.#start(true, true));

  /** Gives up the request under way, for as long as nobody looks; `resume` sends it again. */
  pause = (): void => {
    if (!untrack(() => this.busy)) return;
    this.#controller?.abort();
    this.busy = false;
    this.#paused = true;
  };
  resume = (): void => {
    if (this.#paused) void this.refresh();
  };
  /** Gives up the request because somebody does not want to wait. */
  cancel = (): void => {
    this.pause();
    this.#paused = false;
    if (this.data === undefined) this.error = { message: "Loading was cancelled.", detail: "" };
  };

  async #start(fresh: boolean, keep: boolean): Promise<void> {
    this.#controller?.abort();
    this.#paused = false;
    const controller = (this.#controller = new AbortController());
    const answer = this.#load(controller.signal, fresh); // reads the dependencies before the first await
    untrack(() => {
      this.busy = true;
      if (!keep) this.data = undefined;
    });
    try {
      const data = await answer;
      if (controller.signal.aborted) return;
      this.data = data;
      this.error = undefined;
      this.loadedAt = Date.now() / 1000;
    } catch (cause) {
      if (controller.signal.aborted || isAbort(cause)) return;
      this.error = describe(cause);
      // What failed for want of a network is asked again as soon as there is one.
      if (cause instanceof ApiError && cause.kind === "network") connection.whenBack(controller.signal, this.refresh);
    }
    this.busy = false;
  }
}

/** Calls `work` every so many seconds while the page is looked at, and once when it is looked at again. */
export function every(seconds: () => number, work: () => void): void {
  $effect(() => {
    const interval = seconds();
    if (!interval) return;
    let last = Date.now();
    const run = (): void => {
      if (document.hidden || Date.now() - last < interval * 900) return;
      last = Date.now();
      untrack(work);
    };
    const timer = setInterval(run, interval * 1000);
    document.addEventListener("visibilitychange", run);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", run);
    };
  });
}
