/** One streamed body, pulled once and read by many: a list of chunks that grows, and a bell that tells its readers. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import {
  deferred,
  end,
  ended,
  forkChild,
  interruptLater,
  isInterruptedOnly,
  keepingStores,
  streamOf
} from "../runtime/effect.js"
import { ifNotSent } from "../runtime/flight.js"
import type { HeldBody } from "../runtime/heldBytes.js"
import { limitReached } from "../runtime/limits.js"
import type { Runtime } from "../runtime/runtime.js"
import { steadyMillis } from "../runtime/timeouts.js"
import * as Body from "./body.js"
import { HoldUp } from "./slowReaders.js"

interface Seat {
  /** The number of the next chunk. */
  at: number
  hasStarted: boolean
  isCutOff: boolean
}

/** A reader. It leaves at the end of the stream, or when its request fails before sending. */
export interface Reader {
  readonly stream: Body.ByteStream
  /** The same for a client that needs only a part of it. */
  readonly partial: Body.ByteStream
  /** Its client is sent something else; the body goes on, to be stored. */
  readonly decline: Effect.Effect<void>
  /** Its client is gone. */
  readonly leave: Effect.Effect<void>
}

/** Milliseconds that a source may pause, and that readers may keep it or other readers waiting. */
const patience = 30_000

interface Options {
  readonly runtime: Runtime
  /** Bytes; a longer body is not stored. */
  readonly limit: number
  /** Bytes that it was said to have. */
  readonly length: number | undefined
  /** Runs once, before its readers see the end. */
  readonly onTooLarge: Effect.Effect<unknown>
}

export class SharedBody implements HeldBody {
  /** The reader of the request that started it. */
  readonly first: Reader
  /** Ends the fiber that pulls it, from outside of that. */
  end: Effect.Effect<unknown> = Effect.void
  private readonly options: Options
  private readonly readers = new Set<Seat>()
  private chunks: Array<Uint8Array> = []
  /** How many chunks are no longer held. */
  private dropped = 0
  /** How much is held. */
  bytes = 0
  /** When the last chunk came or was taken. Steady milliseconds. */
  private activeAt = 0
  private size = 0
  private bell = deferred<void>()
  private exit: Exit.Exit<unknown, unknown> | undefined
  /** It is not going to be stored: what every reader has is no longer held. */
  private isNotStored = false
  private isAbandoned = false
  private readonly holdUp = new HoldUp()
  /** Since when the source is waited for. Steady milliseconds; `undefined` while its readers are. */
  private pullingSince: number | undefined

  constructor(options: Options) {
    this.options = options
    this.first = this.seat()
  }

  expire(now: number): void {
    if (this.exit === undefined || now - this.activeAt < patience) return
    for (const reader of this.readers) reader.isCutOff = true
    this.readers.clear()
    this.isAbandoned = true
    this.settle()
    this.chunks = []
  }

  /** It may be stored, and whoever comes late still gets its beginning. */
  get isWhole(): boolean {
    return !this.isNotStored && !this.isAbandoned && (this.exit === undefined || Exit.isSuccess(this.exit))
  }

  /** The error that ended it; `undefined` where it is not to be stored, or the storage's layer has closed. */
  get failure(): Cause.Cause<unknown> | undefined {
    if (this.exit === undefined || Exit.isSuccess(this.exit) || this.isNotStored) return undefined
    const { cause } = this.exit
    return this.isAbandoned || !isInterruptedOnly(cause) ? cause : undefined
  }

  private get isTooLarge(): boolean {
    return this.size > this.options.limit
  }

  /** All bytes of a known length are the whole: a client may leave with the last one. */
  private get isComplete(): boolean {
    return this.size === this.options.length
  }

  /** Its content, which the readers read from now on: there is one copy. */
  takeBytes(): Uint8Array {
    const { views, whole } = Body.joined(this.chunks)
    this.chunks = views
    return whole
  }

  /**
   * Pulls as fast as the source while the body may be stored, and then as fast as the slowest reader. Its readers see the end
   * when `atEnd` has run. What nobody has begun to read when `deadline` (milliseconds) is over is given up, and so is a
   * source that pauses for too long.
   */
  pump(source: Body.ByteStream, atEnd: Effect.Effect<unknown, unknown>, deadline: number): Effect.Effect<void> {
    const finish = Effect.suspend(() =>
      this.exit === undefined ? Effect.onExit(atEnd, (exit) => this.close(exit)) : Effect.void
    )
    const take = (chunk: Uint8Array) =>
      this.push(chunk).pipe(
        Effect.andThen(Effect.suspend(() => this.isComplete ? finish : Effect.void)),
        Effect.andThen(this.pulls)
      )
    const pumped = this.pulls.pipe(
      Effect.andThen(Stream.runForEach(source, take)),
      Effect.andThen(finish),
      Effect.onExit((exit) => this.close(exit)),
      // Its readers are told how it ends.
      Effect.exit,
      Effect.asVoid
    )
    const watch = Effect.flatMap(steadyMillis, (now) => this.watch(now + deadline))
    return Effect.flatMap(forkChild(watch), (watch) => Effect.ensuring(pumped, interruptLater(watch)))
  }

  /** Adds a reader, also one that comes late, where the beginning is still there. */
  readonly join: Effect.Effect<Reader | undefined> = Effect.uninterruptible(Effect.suspend(() => {
    if (!this.isWhole) return Effect.succeed(undefined)
    const reading = this.seat()
    // A scope that ends well before the body is read is not that of the request.
    return Effect.as(ifNotSent(reading.leave), reading)
  }))

  private seat(): Reader {
    const reader: Seat = { at: 0, hasStarted: false, isCutOff: false }
    this.readers.add(reader)
    this.options.runtime.heldBytes.add(this)
    const remove = (isGone: boolean) =>
      Effect.suspend(() => {
        if (!this.readers.delete(reader)) return Effect.void
        this.trim()
        this.settle()
        const isWanted = this.readers.size > 0 || this.exit !== undefined || this.isComplete
        return isWanted || !(isGone || this.isNotStored) ? Effect.void : this.abandon()
      })
    const [decline, leave] = [remove(false), remove(true)]
    const stream = streamOf(this.next(reader))
    return { stream: Stream.ensuring(stream, leave), partial: Stream.ensuring(stream, decline), decline, leave }
  }

  private next(reader: Seat): Effect.Effect<Uint8Array | undefined, unknown> {
    return Effect.flatMap(steadyMillis, (now) => {
      reader.hasStarted = true
      if (reader.isCutOff) return Effect.fail(new Error("the client took nothing for too long"))
      const chunk = this.chunks[reader.at - this.dropped]
      if (chunk !== undefined) {
        reader.at++
        this.activeAt = now
        this.trim()
        return Effect.succeed(chunk)
      }
      if (this.exit === undefined) return Effect.andThen(ended(this.bell), this.next(reader))
      return Exit.isSuccess(this.exit) ? Effect.succeed(undefined) : Effect.failCause(this.exit.cause)
    })
  }

  private push(chunk: Uint8Array): Effect.Effect<void, Error> {
    return Effect.flatMap(steadyMillis, (now) => {
      this.pullingSince = undefined
      this.activeAt = now
      if (chunk.byteLength === 0) return Effect.void
      const wasTooLarge = this.isTooLarge
      this.chunks.push(Body.copy(chunk))
      this.size += chunk.byteLength
      this.hold(chunk.byteLength)
      const whyNot = wasTooLarge ? undefined : this.whyNotStored(now)
      if (whyNot !== undefined) this.isNotStored = true
      this.trim()
      this.ring()
      return whyNot === undefined ? this.room : Effect.andThen(whyNot, this.room)
    })
  }

  /** What to report once it can't be stored. */
  private whyNotStored(now: number): Effect.Effect<unknown> | undefined {
    const { limit, onTooLarge, runtime } = this.options
    if (this.isTooLarge) return onTooLarge
    return this.isNotStored || runtime.heldBytes.mayGrow(this, limit, now)
      ? undefined
      : limitReached(runtime, "bytes of streams", "and other streams are not stored")
  }

  private get isBeingRead(): boolean {
    return Array.from(this.readers).some(({ hasStarted }) => hasStarted)
  }

  private readonly pulls = Effect.map(steadyMillis, (now) => this.pullingSince = now)

  private watch(deadline: number): Effect.Effect<unknown> {
    return Effect.flatMap(steadyMillis, (now) => {
      if (now >= deadline) return this.isBeingRead ? this.watch(Infinity) : this.abandon()
      const stalls = (this.pullingSince ?? now) + patience
      if (now < stalls) return Effect.andThen(Effect.sleep(Math.min(deadline, stalls) - now), this.watch(deadline))
      return Effect.andThen(this.close(Exit.fail(new Error("the body paused for too long"))), this.end)
    })
  }

  /** Waits until the readers have taken enough of what is not stored. */
  private readonly room: Effect.Effect<void, Error> = Effect.flatMap(steadyMillis, (now) => {
    if (!this.isNotStored || this.isComplete) return Effect.void
    if (this.readers.size === 0) return Effect.fail(new Error("nobody reads what can't be stored"))
    const { limit, runtime } = this.options
    if (this.bytes <= (runtime.heldBytes.isCrowded(limit) ? 0 : limit)) return Effect.void
    const left = this.holdUp.begunAt(this.positions, now) + patience - now
    if (left > 0) return Effect.andThen(keepingStores(Effect.timeoutOption(ended(this.bell), left)), this.room)
    this.cutOff()
    return this.room
  })

  private get positions() {
    return { readers: Array.from(this.readers, ({ at }) => at), end: this.dropped + this.chunks.length }
  }

  /** The readers that hold it up are given up. */
  private cutOff(): void {
    const limit = this.holdUp.limit(this.positions)
    for (const reader of this.readers) {
      if (reader.at >= limit) continue
      reader.isCutOff = true
      this.readers.delete(reader)
    }
    this.trim()
  }

  private abandon(): Effect.Effect<unknown> {
    this.isAbandoned = true
    return this.end
  }

  /** The first to say how it ended is right. */
  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.sync(() => {
      this.exit ??= exit
      this.settle()
      this.ring()
    })
  }

  /** Drops what every reader has taken, once the body can't be stored any more. A body without a reader is held whole. */
  private trim(): void {
    if (this.isWhole || this.readers.size === 0) return
    const slowest = Math.min(...this.positions.readers)
    while (this.chunks.length > 0 && this.dropped < slowest) {
      this.hold(-this.chunks.shift()!.byteLength)
      this.dropped++
    }
    this.ring()
  }

  private hold(bytes: number): void {
    this.bytes += bytes
    this.options.runtime.heldBytes.change(this, bytes)
  }

  /** After its end it is there for who still reads it. */
  private settle(): void {
    if (this.exit !== undefined && this.readers.size === 0) this.options.runtime.heldBytes.remove(this)
  }

  private ring(): void {
    const { bell } = this
    this.bell = deferred()
    end(bell, Exit.void)
  }
}
