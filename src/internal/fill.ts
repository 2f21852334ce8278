/** One streamed body, pulled once and read by many: an append-only list of chunks, and a bell. */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Body from "./body.js"

interface Reader {
  /** The number of the next chunk. */
  at: number
  hasStarted: boolean
  isCutOff: boolean
}

/** How long a body that has grown past the limit waits for a client that takes nothing. */
const patience = "30 seconds"

const newBell = (): Deferred.Deferred<void> => Deferred.unsafeMake(FiberId.none)

export class Fill {
  /** Bytes. */
  private readonly limit: number
  private readonly onAbandoned: Effect.Effect<unknown>
  private readonly readers = new Set<Reader>()
  private chunks: Array<Uint8Array> = []
  /** How many chunks are no longer held. */
  private dropped = 0
  private held = 0
  private size = 0
  private bell = newBell()
  private exit: Exit.Exit<unknown, unknown> | undefined
  private isAbandoned = false

  /** `onAbandoned` is run when the last reader leaves before the end. */
  constructor(limit: number, onAbandoned: Effect.Effect<unknown>) {
    this.limit = limit
    this.onAbandoned = onAbandoned
  }

  /** It may be stored, and whoever comes late still gets its beginning. */
  get isWhole(): boolean {
    return this.size <= this.limit && !this.isAbandoned && (this.exit === undefined || Exit.isSuccess(this.exit))
  }

  /** Why it ended, where it did not come to its end; not where the storage's layer has closed. */
  get failure(): Cause.Cause<unknown> | undefined {
    if (this.exit === undefined || Exit.isSuccess(this.exit)) return undefined
    const { cause } = this.exit
    return this.isAbandoned || !Cause.isInterruptedOnly(cause) ? cause : undefined
  }

  get bytes(): Uint8Array {
    const bytes = new Uint8Array(this.size)
    let at = 0
    for (const chunk of this.chunks) {
      bytes.set(chunk, at)
      at += chunk.byteLength
    }
    return bytes
  }

  /**
   * At the pace of the source while the body is within the limit, then at that of the slowest reader. Its readers see the
   * end when `atEnd` has run. What nobody has begun to read when `deadline` (milliseconds) is over is given up.
   */
  pump<E, R, E2, R2>(
    source: Stream.Stream<Uint8Array, E, R>,
    atEnd: Effect.Effect<unknown, E2, R2>,
    deadline: number
  ): Effect.Effect<void, never, R | R2> {
    const isRead = Effect.suspend(() =>
      Array.from(this.readers).some(({ hasStarted }) => hasStarted) ? Effect.void : this.abandon
    )
    const pumped = Stream.runForEach(source, (chunk) => this.push(chunk)).pipe(
      Effect.zipLeft(atEnd),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          this.exit = exit
          this.ring()
        })
      ),
      // Its readers are told.
      Effect.catchAllCause(() => Effect.void)
    )
    return Effect.flatMap(
      Effect.fork(Effect.delay(isRead, deadline)),
      (watch) => Effect.ensuring(pumped, Fiber.interruptFork(watch))
    )
  }

  /** A place in the audience: to the end of the stream, or for as long as the request that doesn't come to send it. */
  readonly reader: Effect.Effect<Stream.Stream<Uint8Array, unknown>> = Effect.uninterruptible(Effect.suspend(() => {
    const reader: Reader = { at: this.dropped, hasStarted: false, isCutOff: false }
    this.readers.add(reader)
    const leave = Effect.suspend(() => {
      if (!this.readers.delete(reader)) return Effect.void
      this.trim()
      return this.readers.size === 0 && this.exit === undefined ? this.abandon : Effect.void
    })
    const stream = Stream.ensuring(Stream.repeatEffectChunkOption(this.pull(reader)), leave)
    return Effect.flatMap(Effect.serviceOption(Scope.Scope), (scope) =>
      Option.isSome(scope)
        // A scope that ends well before the body is read is not that of the request.
        ? Effect.as(
          Scope.addFinalizerExit(scope.value, (exit) => Exit.isFailure(exit) ? leave : Effect.void),
          stream
        )
        : Effect.succeed(stream))
  }))

  private pull(reader: Reader): Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<unknown>> {
    return Effect.suspend(() => {
      reader.hasStarted = true
      if (reader.isCutOff) return Effect.fail(Option.some(new Error("the client took nothing for too long")))
      const chunk = this.chunks[reader.at - this.dropped]
      if (chunk !== undefined) {
        reader.at++
        this.trim()
        return Effect.succeed(Chunk.of(Body.copy(chunk)))
      }
      if (this.exit === undefined) return Effect.zipRight(Deferred.await(this.bell), this.pull(reader))
      return Exit.isSuccess(this.exit)
        ? Effect.fail(Option.none())
        : Effect.failCause(Cause.map(this.exit.cause, Option.some))
    })
  }

  private push(chunk: Uint8Array): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (chunk.byteLength === 0) return Effect.void
      this.chunks.push(Body.copy(chunk))
      this.size += chunk.byteLength
      this.held += chunk.byteLength
      this.trim()
      this.ring()
      return this.room
    })
  }

  private readonly room: Effect.Effect<void> = Effect.suspend(() => {
    if (this.isWhole || this.held <= this.limit) return Effect.void
    return Deferred.await(this.bell).pipe(
      Effect.timeoutTo({
        duration: patience,
        onSuccess: () => Effect.void,
        onTimeout: () => this.cutOff
      }),
      Effect.flatten,
      Effect.zipRight(this.room)
    )
  })

  /** Whoever comes now comes too late. */
  private readonly abandon = Effect.suspend(() => {
    this.isAbandoned = true
    return this.onAbandoned
  })

  /** The readers that hold it up are given up. */
  private readonly cutOff = Effect.suspend(() => {
    const slowest = Math.min(...Array.from(this.readers, ({ at }) => at))
    for (const reader of this.readers) {
      if (reader.at > slowest) continue
      reader.isCutOff = true
      this.readers.delete(reader)
    }
    this.trim()
    return this.readers.size === 0 ? this.abandon : Effect.void
  })

  /** Past the limit nothing is held that every reader has; before there is one, all of it. */
  private trim(): void {
    if (this.isWhole || this.readers.size === 0) return
    const slowest = Math.min(...Array.from(this.readers, ({ at }) => at))
    while (this.chunks.length > 0 && this.dropped < slowest) {
      this.held -= this.chunks.shift()!.byteLength
      this.dropped++
    }
    this.ring()
  }

  private ring(): void {
    const { bell } = this
    this.bell = newBell()
    Deferred.unsafeDone(bell, Effect.void)
  }
}
