/** What belongs to a storage and to no request: one object for each storage, made when it is first asked for. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { CacheItem } from "../CacheItem.js"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import { CircuitBreaker } from "./circuitBreaker.js"
import { adding, type Caller, exitOf, fork, LentScope, patiently, type Running, serviceIn } from "./effect.js"
import { HeldBytes } from "./heldBytes.js"
import { Memory } from "./memory.js"
import { SingleFlight } from "./singleFlight.js"
import { Timeouts } from "./timeouts.js"
import type { Soft } from "../protocol/Reuse.js"
import { UndeliveredCollects } from "./undeliveredCollects.js"

interface Lent<A, E> {
  readonly fiber: Running<A, E>
  readonly hold: Effect.Effect<void>
}

/** How a fiber of the storage is started. */
interface Start {
  /** It runs to where it first waits before the caller goes on. */
  readonly isAtOnce: boolean
  /** Somebody waits for it: whoever closes the storage lets it end, within a bound. */
  readonly isAwaited: boolean
}

/** Who looks on while requests are answered; nobody waits for it. */
export interface Observer {
  /** `now`: epoch milliseconds. */
  readonly answered: (
    key: string,
    route: string,
    outcome: CacheStatus.Outcome | CacheStatus.NotCached,
    now: number
  ) => void
  /** What was stored, or is stored and was served. */
  readonly saw: (item: CacheItem) => void
}

/** What a storage in memory holds. */
export interface Holding {
  readonly bytes: number
  readonly items: number
  readonly maxBytes: number
}

/** Handlers that ask each other are begun within each other, on one stack, as far as this; the others begin in turns of their own. */
const mostNested = 16
let nested = 0

const started = <A, E, R>(
  caller: Caller,
  effect: Effect.Effect<A, E, R>,
  context: Context.Context<R>,
  isAtOnce: boolean
): Running<A, E> => {
  nested++
  try {
    return fork(caller, effect, context, isAtOnce && nested <= mostNested)
  } finally {
    nested--
  }
}

export class Runtime {
  /** `begin` and `holds` go by that of `get`. A storage that is full can still be read, and leases are another service. */
  readonly breakers = {
    get: new CircuitBreaker(),
    set: new CircuitBreaker(),
    collect: new CircuitBreaker(),
    take: new CircuitBreaker()
  }
  readonly undelivered = new UndeliveredCollects()
  readonly memory = new Memory()
  readonly heldBytes = new HeldBytes()
  readonly timeouts = new Timeouts()
  readonly singleFlight = new SingleFlight(this)
  /** Who is told what was collected. */
  readonly listeners = new Set<(name: string, soft: Soft) => void>()
  observer: Observer | undefined = undefined
  /** Asks a storage in memory what it holds; `undefined`: the storage is another one. */
  holding: (() => Holding) | undefined = undefined
  /** How many collects have begun in this process. */
  collectsBegun = 0
  /** The limits that were logged. */
  readonly reachedLimits = new Set<string>()
  /** The layer of the storage has closed, or is about to: no work in the background is begun. */
  isClosed = false
  /** Its fibers, and whether somebody waits for them. */
  private readonly running = new Map<Running<unknown, unknown>, boolean>()

  /** How many of its fibers run. */
  get fibers(): number {
    return this.running.size
  }

  /** Starts a fiber of the storage. It can be interrupted, also where its caller can't be. */
  fork<A, E, R>(
    caller: Caller,
    effect: Effect.Effect<A, E, R>,
    context: Context.Context<R>,
    { isAtOnce, isAwaited }: Start
  ): Running<A, E> {
    const fiber = started(caller, effect, context, isAtOnce)
    if (exitOf(fiber) === undefined) {
      this.running.set(fiber, isAwaited)
      fiber.addObserver(() => this.running.delete(fiber))
    }
    return fiber
  }

  /**
   * Starts a fiber that may outlive its request, and lends it what the request holds. `hold` is run before the request goes
   * on without the fiber: the request's scope closes after the fiber has ended.
   */
  lend<A, E, R>(
    caller: Caller,
    effect: Effect.Effect<A, E, R>,
    context: Context.Context<R>,
    start: Start
  ): Lent<A, E> {
    const scope = serviceIn(context, Scope.Scope)
    if (scope === undefined) return { fiber: this.fork(caller, effect, context, start), hold: Effect.void }
    const lent = new LentScope(scope)
    const fiber = this.fork(caller, effect, adding(context, [Scope.Scope, lent]), start)
    lent.startedAs(fiber)
    return { fiber, hold: lent.hold }
  }

  private readonly awaitAll: Effect.Effect<void> = Effect.suspend(() => {
    const awaited = [...this.running].flatMap(([fiber, isAwaited]) => isAwaited ? [fiber] : [])
    return awaited.length === 0 ? Effect.void : Effect.andThen(Fiber.awaitAll(awaited), this.awaitAll)
  })

  /**
   * The fibers of the storage end with the scope: those that somebody waits for have some time to, the others are
   * interrupted, and nobody waits for them any more. Later ones, of requests that the server still answers, are nobody's.
   */
  readonly endWithScope: Effect.Effect<void, never, Scope.Scope> = Effect.addFinalizer(() =>
    Effect.suspend(() => {
      this.isClosed = true
      return patiently(this.awaitAll).pipe(
        Effect.andThen(Effect.sync(() => this.singleFlight.end())),
        Effect.andThen(patiently(Effect.suspend(() => Fiber.interruptAll([...this.running.keys()])))),
        Effect.andThen(Effect.sync(() => {
          this.timeouts.close()
          this.undelivered.leaveMetrics()
        }))
      )
    })
  )
}

/** Two copies of this package share the runtimes, as they share the storages. */
const shared = globalThis as { [name: symbol]: WeakMap<object, Runtime> | undefined }
const runtimes = shared[Symbol.for("effect-http-cache/runtimes")] ??= new WeakMap()

export const runtimeOf = (storage: object): Runtime => {
  let runtime = runtimes.get(storage)
  if (runtime === undefined) runtimes.set(storage, runtime = new Runtime())
  return runtime
}
