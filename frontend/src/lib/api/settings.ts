/** Settings of oneself and what administrators change; plain HTTP routes besides one mutation. */
import { boot, noteSetting } from "./boot";
import { ApiError, query } from "./client";
import { graphql } from "./graphql";
import { session } from "./session.svelte";

const UpdateMutation = graphql(`
  mutation UpdateConfiguration($name: String!, $value: String!) {
    updateConfiguration(name: $name, value: $value)
  }
`);

let saving: Promise<unknown> = Promise.resolve();

/**
 * Stores one setting of the caller, null for that of the site; it holds at once in this page and everywhere from the next load on.
 * One after the other: of two quick changes the later one stays.
 */
export function saveSetting(name: string, value: unknown): Promise<void> {
  const save = async (): Promise<void> => {
    await query(UpdateMutation, { name, value: JSON.stringify(value) }, { fresh: true });
    noteSetting(name, value);
  };
  const saved = saving.then(save, save);
  saving = saved;
  return saved;
}

export interface Account {
  username: string;
  name: string;
  email: string;
  roles: string[];
  projects: string[];
}

/** One plain request; rejects with an ApiError that carries what the server said. */
export async function send(method: string, path: string, form?: Record<string, string>): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, form ? { method, body: new URLSearchParams(form) } : { method });
  } catch (cause) {
    throw new ApiError("network", "The server cannot be reached.", String(cause));
  }
  if (response.status === 401) {
    session.expired = true;
    throw new ApiError("session", "Your session has expired.");
  }
  if (!response.ok) {
    const text = await response.text();
    let reason = text;
    try {
      reason = (JSON.parse(text) as { error?: string }).error ?? text;
    } catch {
      // plain text
    }
    throw new ApiError(response.status === 403 ? "refused" : "server", reason.trim() || `The server answered ${response.status}.`);
  }
  return response;
}

const text = async (method: string, path: string, form?: Record<string, string>): Promise<string> =>
  (await (await send(method, path, form)).text()).trim();

export const token = (username: string): Promise<string> =>
  text("GET", `/frontend/jwt/?${new URLSearchParams({ username }).toString()}`);

export const accounts = async (): Promise<Account[]> =>
  (await (await send("GET", "/config/users/?not-just-user=true")).json()) as Account[];

export const assignableRoles = async (): Promise<string[]> => (await (await send("GET", "/config/roles/")).json()) as string[];

export const createAccount = (form: Record<string, string>): Promise<string> => text("POST", "/config/users/", form);

export const deleteAccount = (username: string): Promise<string> => text("DELETE", "/config/users/", { username });

export async function changeAccount(username: string, change: Record<string, string>): Promise<string> {
  const answer = (await (await send("POST", `/config/user/${encodeURIComponent(username)}`, change)).json()) as { msg?: string } | string;
  return typeof answer === "string" ? answer : (answer.msg ?? "Done");
}

export async function saveNotice(content: string): Promise<string> {
  const answer = await text("POST", "/config/notice/", { "new-content": content });
  boot.notice = content;
  return answer;
}

export interface LogLine {
  timestamp: string; // microseconds since the epoch
  priority: number;
  message: string;
  unit: string;
}

export async function logLines(query: { since: string; lines: number; level: string; search: string }): Promise<LogLine[]> {
  const search = new URLSearchParams({ since: query.since, lines: String(query.lines) });
  if (query.level) search.set("level", query.level);
  if (query.search) search.set("search", query.search);
  return (await (await send("GET", `/frontend/logs/?${search.toString()}`)).json()) as LogLine[];
}

export interface ServiceComponent {
  name: string;
  state: "ok" | "warning" | "failed";
  text: string;
}

export const serviceHealth = async (): Promise<ServiceComponent[]> => (await (await send("GET", "/frontend/health/")).json()) as ServiceComponent[];

/** Shows pseudonyms in this session, or names again; what the page knows so far is of the other kind. */
export async function present(on: boolean): Promise<void> {
  await send("POST", "/frontend/presentation/", { on: String(on) });
  location.assign("/");
}

export interface DisplayToken {
  id: string;
  name: string;
  created: number; // unix seconds
}

export const displayTokens = async (): Promise<DisplayToken[]> => (await (await send("GET", "/config/displays/")).json()) as DisplayToken[];

/** A new token for a wall display; the server tells it this once. */
export const createDisplayToken = (name: string): Promise<string> => text("POST", "/config/displays/", { name });

export const revokeDisplayToken = (id: string): Promise<string> => text("DELETE", "/config/displays/", { id });

export interface Tagger {
  name: string;
  type: string;
  running: boolean;
}

/** The job taggers of the server; undefined where it has no such route. */
export async function taggers(): Promise<Tagger[] | undefined> {
  const response = await fetch("/config/taggers/").catch(() => undefined);
  if (!response?.ok || !response.headers.get("content-type")?.includes("json")) return undefined;
  const list = (await response.json()) as Record<string, unknown>[];
  return list.map((item) => ({ name: String(item["name"] ?? ""), type: String(item["type"] ?? ""), running: item["running"] === true || item["status"] === "running" }));
}

export const runTagger = (name: string, type: string): Promise<string> => text("POST", "/config/taggers/run/", { name, type });
