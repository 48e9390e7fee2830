/** Whether the server can be reached; while it cannot, a small request tries again, less and less often. */

const FIRST_WAIT = 2; // seconds
const LONGEST_WAIT = 30;

class Connection {
  /** Unix seconds of the next attempt; 0 while the server answers. */
  retryAt = $state(0);
  #wait = FIRST_WAIT;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting = new Map<AbortSignal, () => void>();

  constructor() {
    addEventListener("online", () => this.retry());
  }

  lost(): void {
    if (this.#timer === undefined) this.#plan();
  }

  found(): void {
    if (!this.retryAt && this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.retryAt = 0;
    this.#wait = FIRST_WAIT;
    const calls = [...this.#waiting].filter(([signal]) => !signal.aborted).map(([, call]) => call);
    this.#waiting.clear();
    for (const call of calls) call();
  }

  /** Runs `call` once when the server answers again, unless `signal` fires before. */
  whenBack(signal: AbortSignal, call: () => void): void {
    this.#waiting.set(signal, call);
  }

  retry = (): void => {
    clearTimeout(this.#timer);
    // Any answer will do, a refusal as well.
    fetch("/img/logo.svg", { cache: "no-store" })
      .then(() => this.found())
      .catch(() => this.#plan());
  };

  #plan(): void {
    clearTimeout(this.#timer);
    this.retryAt = Date.now() / 1000 + this.#wait;
    this.#timer = setTimeout(this.retry, this.#wait * 1000);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }
}

export const connection = new Connection();
