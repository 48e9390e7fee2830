import { initGraphQLTada } from "gql.tada";
import type { introspection } from "../../generated/graphql-env.d.ts";

export type Scope = "node" | "socket" | "memoryDomain" | "core" | "hwthread" | "accelerator";

/** Types every operation from the server's schema; a gap in a series is a literal null. */
export const graphql = initGraphQLTada<{
  introspection: introspection;
  scalars: {
    ID: string;
    Time: string;
    Any: Record<string, unknown> | null;
    NullableFloat: number | null;
    MetricScope: Scope;
    JobState: string;
    SchedulerState: string;
    MonitoringState: string;
  };
}>();

export type { ResultOf, VariablesOf } from "gql.tada";
