/** Filters under an editor: a copy of their keys of the address, until they are applied or dropped. */
import { parseRange, writeRange, type Range } from "./grammar";

export class Draft {
  values = $state<Record<string, string[]>>({});
  /** Why this cannot be applied. */
  problem = $state("");

  constructor(keys: readonly string[], params: URLSearchParams) {
    for (const key of keys) this.values[key] = params.getAll(key).filter((value) => value !== "");
  }

  get(key: string): string {
    return this.values[key]?.[0] ?? "";
  }

  all(key: string): string[] {
    return this.values[key] ?? [];
  }

  set(key: string, value: string | string[] | undefined): void {
    this.values[key] = value === undefined || value === "" ? [] : Array.isArray(value) ? value : [value];
  }

  toggle(key: string, value: string): void {
    const now = this.all(key);
    this.set(key, now.includes(value) ? now.filter((item) => item !== value) : [...now, value]);
  }

  range(key: string, decimal = false): Range | undefined {
    return parseRange(this.get(key), decimal);
  }

  setRange(key: string, range: Range | undefined): void {
    this.set(key, range && writeRange(range));
  }
}
