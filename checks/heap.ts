/** The heap, and whether it grows. */

/** Bytes of heap and array buffers after a collection; Node must run with `--expose-gc`. */
export const used = (): number => {
  // What the first one frees of buffers is counted until the second.
  for (let i = 0; i < 2; i++) globalThis.gc!()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

export const mean = (values: ReadonlyArray<number>): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** Of the line with the least squares, per second. */
export const slope = <Sample extends { readonly at: number }>(
  samples: ReadonlyArray<Sample>,
  of: (sample: Sample) => number
): number => {
  const [at, value] = [mean(samples.map((sample) => sample.at)), mean(samples.map(of))]
  const covariance = mean(samples.map((sample) => (sample.at - at) * (of(sample) - value)))
  return covariance / mean(samples.map((sample) => (sample.at - at) ** 2))
}
