/** Work of a known length for a handler: the same instructions each time, however busy the machine is. */

/** What was computed is kept, so that no compiler leaves the loop out. */
let kept = 1

const turnOver = (rounds: number): void => {
  let value = kept
  for (let at = 0; at < rounds; at++) value = Math.imul(value ^ at, 0x01000193) | 1
  kept = value
}

const microsOf = (work: () => void): number => {
  const before = process.cpuUsage()
  work()
  const { system, user } = process.cpuUsage(before)
  return user + system
}

/** The least of many: a neighbour on the machine only adds. */
export const busyFor = (micros: number): () => void => {
  const rounds = 100_000
  const least = Math.min(...Array.from({ length: 50 }, () => microsOf(() => turnOver(rounds))))
  const wanted = Math.round(rounds * micros / least)
  return () => turnOver(wanted)
}
