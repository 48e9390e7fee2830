/** Filters with which a person's lists begin: a query string kept as a setting. */
import { setting } from "../api/boot";
import { place } from "../router.svelte";
import { parseFilters, QUERY_KEYS } from "./grammar";

export const DEFAULT_FILTERS = "ui_defaultFilters";

/** Keys and values of filters in an address or the query part of one; nothing else of it. */
export function filtersOf(address: string): Record<string, string[]> {
  const mark = address.indexOf("?");
  const params = new URLSearchParams(address.slice(mark + 1).trim());
  return Object.fromEntries(QUERY_KEYS.filter((key) => params.getAll(key).some(Boolean)).map((key) => [key, params.getAll(key)]));
}

export function toQuery(filters: Record<string, string[]>): string {
  const params = new URLSearchParams();
  for (const [key, values] of Object.entries(filters)) for (const value of values) params.append(key, value);
  return params.toString();
}

/** Keys whose value makes no sense. */
export const senselessOf = (query: string): string[] => parseFilters(new URLSearchParams(query)).dropped;

/** Called as a list opens: an address without any filter gets those of the person, where they can be removed. */
export function beginWithDefaults(): void {
  const wanted = filtersOf(setting(DEFAULT_FILTERS, ""));
  if (!Object.keys(wanted).length || QUERY_KEYS.some((key) => place.params.has(key))) return;
  place.set(wanted, { replace: true });
}
