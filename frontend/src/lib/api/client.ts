import { print, type FieldNode, type OperationDefinitionNode } from "@0no-co/graphql.web";
import type { TadaDocumentNode } from "gql.tada";
import { connection } from "./connection.svelte";
import { session } from "./session.svelte";

const CACHE_SECONDS = 300;
const CACHE_ENTRIES = 150;
const PARALLEL_REQUESTS = 6;

export type Trouble = "network" | "session" | "server" | "refused";

/** A failed request with a sentence for people; `detail` is what the server said. */
export class ApiError extends Error {
  constructor(
    readonly kind: Trouble,
    message: string,
    readonly detail = "",
  ) {
    super(message);
  }
}

interface Options {
  signal?: AbortSignal;
  /** Skips the cache, for data that is refreshed. */
  fresh?: boolean;
}

const texts = new WeakMap<object, string>();
const cache = new Map<string, { at: number; data: unknown }>();
const underWay = new Map<string, { promise: Promise<unknown>; controller: AbortController; readers: number }>();
const waiting: (() => void)[] = [];
let running = 0;

async function slot(signal: AbortSignal): Promise<void> {
  if (running < PARALLEL_REQUESTS) {
    running += 1;
    return;
  }
  await new Promise<void>((resolve, reject) => {
    waiting.push(resolve);
    signal.addEventListener("abort", () => {
      const place = waiting.indexOf(resolve);
      if (place >= 0) {
        waiting.splice(place, 1);
        reject(new DOMException("aborted", "AbortError"));
      }
    });
  });
}

function release(): void {
  const next = waiting.shift();
  if (next) next();
  else running -= 1;
}

interface Answer {
  data: unknown;
  errors?: { message: string; path?: (string | number)[] }[];
}

async function post(body: string, signal: AbortSignal): Promise<unknown> {
  const answer = await exchange(body, signal);
  if (answer.errors?.length) {
    throw new ApiError(
      "server",
      "The server could not answer this request.",
      answer.errors.map((error) => error.message).join("; "),
    );
  }
  return answer.data;
}

async function exchange(body: string, signal: AbortSignal): Promise<Answer> {
  await slot(signal);
  try {
    let response: Response;
    try {
      response = await fetch("/query", {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body,
        signal,
      });
    } catch (cause) {
      if (signal.aborted) throw cause;
      connection.lost();
      throw new ApiError("network", "The server cannot be reached.", String(cause));
    }
    connection.found();
    if (response.status === 401) {
      session.expired = true;
      throw new ApiError("session", "Your session has expired.");
    }
    if (response.status === 403) throw new ApiError("refused", "You have no right to see this.");
    const answer = (await response.json().catch(() => null)) as Answer | null;
    if (!answer) throw new ApiError("server", `The server answered with an error (${response.status}).`);
    return answer;
  } finally {
    release();
  }
}

function remember(key: string, data: unknown): void {
  cache.delete(key);
  cache.set(key, { at: Date.now(), data });
  if (cache.size > CACHE_ENTRIES) cache.delete(cache.keys().next().value as string);
}

/**
 * Sends one operation. Equal requests under way are shared, answers are kept for five minutes.
 * Rejects with ApiError, or with an AbortError once `signal` fires.
 */
export async function query<Result, Variables>(
  document: TadaDocumentNode<Result, Variables>,
  variables: Variables,
  options: Options = {},
): Promise<Result> {
  let text = texts.get(document);
  if (!text) texts.set(document, (text = print(document)));
  const body = JSON.stringify({ query: text, variables });
  const known = options.fresh ? undefined : cache.get(body);
  if (known && Date.now() - known.at < CACHE_SECONDS * 1000) return known.data as Result;

  let shared = underWay.get(body);
  if (!shared) {
    const controller = new AbortController();
    const promise = post(body, controller.signal)
      .then((data) => {
        // Fresh data is mostly of a time that nobody asks for again; it only takes the place of older data.
        if (!options.fresh || cache.has(body)) remember(body, data);
        return data;
      })
      .finally(() => underWay.delete(body));
    promise.catch(() => undefined); // every reader handles its own copy
    shared = { promise, controller, readers: 0 };
    underWay.set(body, shared);
  }
  const request = shared;
  request.readers += 1;
  const { signal } = options;
  if (!signal) return (await request.promise) as Result;
  return await new Promise<Result>((resolve, reject) => {
    const leave = (): void => {
      request.readers -= 1;
      if (request.readers === 0) {
        underWay.delete(body);
        request.controller.abort();
      }
      reject(new DOMException("aborted", "AbortError"));
    };
    if (signal.aborted) return leave();
    signal.addEventListener("abort", leave, { once: true });
    request.promise
      .then((data) => resolve(data as Result), reject)
      .finally(() => signal.removeEventListener("abort", leave));
  });
}

/** One field of a combined request: its arguments as [type, value]. */
export interface Part {
  alias: string;
  field: string;
  variables: Record<string, readonly [type: string, value: unknown]>;
}

/**
 * Sends the same field many times in one operation, each under its own alias, with the selection that `like`
 * has for it. An alias that fails carries its own error and leaves the others alone.
 */
export async function queryMany<Result>(
  parts: Part[],
  like: object,
  signal: AbortSignal,
): Promise<{ data?: Result; error?: string }[]> {
  const operation = (like as { definitions: OperationDefinitionNode[] }).definitions[0];
  const field = operation?.selectionSet.selections[0] as FieldNode;
  const selection = print(field.selectionSet as never);
  const declared: string[] = [];
  const values: Record<string, unknown> = {};
  const fields = parts.map((part) => {
    const passed = Object.entries(part.variables).map(([name, [type, value]]) => {
      declared.push(`$${part.alias}_${name}: ${type}`);
      values[`${part.alias}_${name}`] = value;
      return `${name}: $${part.alias}_${name}`;
    });
    return `${part.alias}: ${part.field}(${passed.join(", ")}) ${selection}`;
  });
  const text = `${operation?.operation ?? "query"} Rows(${declared.join(", ")}) { ${fields.join(" ")} }`;
  const answer = await exchange(JSON.stringify({ query: text, variables: values }), signal);
  const data = answer.data as Record<string, Result> | null;
  return parts.map(({ alias }) => {
    const error = answer.errors?.find((item) => item.path?.[0] === alias || !item.path);
    const found = data?.[alias];
    return found === undefined || found === null ? { error: error?.message ?? answer.errors?.[0]?.message ?? "no data" } : { data: found };
  });
}

export const isAbort = (cause: unknown): boolean => cause instanceof DOMException && cause.name === "AbortError";

/** A sentence for people out of anything that was thrown. */
export function describe(cause: unknown): { message: string; detail: string } {
  if (cause instanceof ApiError) return { message: cause.message, detail: cause.detail };
  return { message: "Something went wrong in this page.", detail: String(cause) };
}
