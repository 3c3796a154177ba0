/** CLOCK_MONOTONIC, ms: one clock for all processes of a machine, which nobody sets. */
export const monotonicNow = (): number => Number(process.hrtime.bigint()) / 1e6;
