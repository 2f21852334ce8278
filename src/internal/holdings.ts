/** What the streamed bodies of a storage hold together, within a bound: 64 MiB, or twice the largest that a route stores. */
import { perStorage } from "../home/home.js"

/** Of what is held, the oldest bodies may take one half, and what could not be stored any more the other. Bytes. */
const half = 32 * 1024 * 1024

export interface Holding {
  readonly bytes: number
  /** It has ended, and goes on for who still reads it: drops it where nobody has taken any of it for long. */
  readonly expire: (now: number) => void
}

const all = perStorage("held", () => ({ bytes: 0, holdings: new Set<Holding>() }))

/** Bytes that the streamed bodies of a storage hold. */
export const held = (storage: object): number => all.of(storage).bytes

export const add = (storage: object, holding: Holding): void => {
  const { holdings } = all.of(storage)
  if (holdings.has(holding)) return
  holdings.add(holding)
  all.of(storage).bytes += holding.bytes
}

export const remove = (storage: object, holding: Holding): void => {
  if (all.of(storage).holdings.delete(holding)) all.of(storage).bytes -= holding.bytes
}

/** It holds so many bytes more. */
export const grow = (storage: object, holding: Holding, bytes: number): void => {
  if (all.of(storage).holdings.has(holding)) all.of(storage).bytes += bytes
}

/** So much that what is not stored has to be taken before more comes. `limit`: the largest body of a route. */
export const isCrowded = (storage: object, limit: number): boolean => held(storage) > Math.max(half, limit)

/** Whether it may grow: the oldest go on to their end, so that they can be stored. */
export const mayGrow = (storage: object, holding: Holding, limit: number, now: number): boolean => {
  if (!isCrowded(storage, limit)) return true
  for (const other of all.of(storage).holdings) other.expire(now)
  let older = 0
  for (const other of all.of(storage).holdings) {
    older += other.bytes
    if (other === holding) break
  }
  return older <= Math.max(half, limit)
}
