import { place } from "../router.svelte";
import { QUERY_KEYS } from "./grammar";

/** Takes every filter out of the address; the list begins with its first page again. */
export const clearFilters = (): void => place.set(Object.fromEntries([...QUERY_KEYS, "page"].map((key) => [key, undefined])));
