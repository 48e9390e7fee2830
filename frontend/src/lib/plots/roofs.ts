/** Roofs of a roofline out of the configuration, in GFLOP/s and GB/s. */
import type { SubCluster } from "../api/site";
import type { Roof } from "./Roofline.svelte";

const FACTORS: Record<string, number> = { "": 1e-9, K: 1e-6, k: 1e-6, M: 1e-3, G: 1, T: 1e3, P: 1e6, E: 1e9 };

export const giga = (value: number, prefix: string | null | undefined): number => value * (FACTORS[prefix ?? ""] ?? 1);

export const roofOf = (sub: SubCluster): Roof => ({
  name: sub.name,
  bandwidth: giga(sub.memoryBandwidth.value, sub.memoryBandwidth.unit.prefix),
  scalar: giga(sub.flopRateScalar.value, sub.flopRateScalar.unit.prefix),
  simd: giga(sub.flopRateSimd.value, sub.flopRateSimd.unit.prefix),
});
