/** What the streamed bodies of a storage hold together, within a bound: 64 MiB, or twice the largest that a route stores. */

/** Of what is held, the oldest bodies may take one half, and what could not be stored any more the other. Bytes. */
const half = 32 * 1024 * 1024

export interface HeldBody {
  readonly bytes: number
  /** Drops a body that has ended, once none of its readers has taken any of it for long. */
  readonly expire: (now: number) => void
}

export class HeldBytes {
  /** What all hold. Bytes. */
  total = 0
  /** The oldest first. */
  private readonly holdings = new Set<HeldBody>()

  add(holding: HeldBody): void {
    if (this.holdings.has(holding)) return
    this.holdings.add(holding)
    this.total += holding.bytes
  }

  remove(holding: HeldBody): void {
    if (this.holdings.delete(holding)) this.total -= holding.bytes
  }

  /** It holds so many bytes more, or fewer where `bytes` is negative. */
  change(holding: HeldBody, bytes: number): void {
    if (this.holdings.has(holding)) this.total += bytes
  }

  /** Whether readers must take what is not stored before more comes. `limit`: the largest body of a route. */
  isCrowded(limit: number): boolean {
    return this.total > Math.max(half, limit)
  }

  /** Whether it may grow: the oldest go on to their end, so that they can be stored. */
  mayGrow(holding: HeldBody, limit: number, now: number): boolean {
    if (!this.isCrowded(limit)) return true
    for (const other of this.holdings) other.expire(now)
    let older = 0
    for (const other of this.holdings) {
      older += other.bytes
      if (other === holding) break
    }
    return older <= Math.max(half, limit)
  }
}
