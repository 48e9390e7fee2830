import { hasFeature } from "./boot";

export type Connection = "connecting" | "live" | "polling";

const FIRST_WAIT = 1000; // ms
const LONGEST_WAIT = 30_000;
const SILENCE = 40_000; // a status topic sends every few seconds; other topics may stay quiet for hours

export interface JobEvent {
  id: number;
  jobId: number;
  cluster: string;
  user: string;
  state: string;
}

/** What the server pushes about a cluster; lists run parallel to `hosts`. */
export interface ClusterStatus {
  cluster: string;
  time: number;
  interval: number;
  nodesUp: number;
  nodesTotal: number;
  runningJobs: number;
  metrics: { name: string; unit: string; peak: number }[];
  hosts: string[];
  subClusters: string[];
  states: string[];
  jobs: number[];
  ages: (number | null)[];
  values: Record<string, (number | null)[]>;
}

export interface Events {
  "job.started": JobEvent;
  "job.stopped": JobEvent;
  "job.archived": JobEvent;
  "job.tagged": JobEvent;
  "metrics.tick": { cluster: string; time: number };
  status: ClusterStatus;
}

type Handlers = { [Kind in keyof Events]?: (data: Events[Kind]) => void };

/**
 * A stream of server-sent events that reconnects by itself (1 s to 30 s) and pauses while the page is hidden.
 * While it is down `connection` is "polling": whoever uses it fetches on a timer instead.
 */
export class EventStream {
  connection = $state<Connection>("connecting");
  #source: EventSource | undefined;
  #wait = FIRST_WAIT;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;

  /** Call while a component initialises: the stream ends with the component. */
  constructor(topics: () => string[], handlers: Handlers) {
    $effect(() => {
      const wanted = topics();
      if (!wanted.length) return;
      if (!hasFeature("events")) {
        this.connection = "polling";
        return;
      }
      const open = (): void => this.#open(wanted, handlers);
      const visibility = (): void => {
        if (document.hidden) this.#close();
        else if (!this.#source) open();
      };
      open();
      document.addEventListener("visibilitychange", visibility);
      return () => {
        document.removeEventListener("visibilitychange", visibility);
        this.#close();
      };
    });
  }

  #open(topics: string[], handlers: Handlers): void {
    this.#close();
    const source = new EventSource(`/frontend/events?topics=${topics.map(encodeURIComponent).join(",")}`);
    this.#source = source;
    const alive = (): void => {
      this.connection = "live";
      this.#wait = FIRST_WAIT;
      clearTimeout(this.#watchdog);
      if (handlers.status) this.#watchdog = setTimeout(() => this.#retry(topics, handlers), SILENCE);
    };
    source.onopen = alive;
    source.onerror = () => this.#retry(topics, handlers);
    for (const [kind, handle] of Object.entries(handlers)) {
      source.addEventListener(kind, (event) => {
        alive();
        (handle as (data: unknown) => void)(JSON.parse((event as MessageEvent<string>).data));
      });
    }
  }

  #retry(topics: string[], handlers: Handlers): void {
    this.#close();
    this.connection = "polling";
    this.#timer = setTimeout(() => this.#open(topics, handlers), this.#wait * (0.75 + Math.random() / 2));
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }

  #close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#source?.close();
    this.#source = undefined;
  }
}
