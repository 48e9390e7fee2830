/** One node as the status page shows it. `age` is seconds since its newest sample, null without any. */
export interface NodeRow {
  host: string;
  subCluster: string;
  state: string;
  jobs: number;
  age: number | null;
  /** Why somebody should look at it; empty when all is well. */
  trouble: string;
  values: Record<string, number | null>;
}
