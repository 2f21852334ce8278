/** Processor time of effects that one process runs, compared in turn. */
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Effect, type Exit, type Fiber, ManagedRuntime } from "effect"
import { type CacheStorage, type CollectableCacheStorage, InMemoryCacheStorage } from "effect-http-cache"

export type Services = CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage

export type Response = HttpServerResponse.HttpServerResponse

export interface Contender<A> {
  readonly fork: <B, E>(effect: Effect.Effect<B, E, Services>) => Fiber.RuntimeFiber<B, E>
  /** The effects of one batch, which are made while the meter stands still. */
  readonly prepare: (size: number) => Promise<ReadonlyArray<Effect.Effect<A, unknown, Services>>>
  /** Throws where the batch was not what is to be measured. The meter stands still. */
  readonly verify: (exits: ReadonlyArray<Exit.Exit<A, unknown>>) => void
}

export interface Effort {
  /** Processor time that each contender has to be compiled before its windows. Milliseconds. */
  readonly warmUp: number
  /** Processor time that a window takes. Milliseconds. */
  readonly window: number
  readonly rounds: number
  /** The least number of rounds: no further one begins after `seconds` by the wall clock. */
  readonly fewest: number
  readonly seconds: number
}

const batch = 64

/** A storage of its own for each case. */
export const withRuntime = async <A>(
  use: (fork: Contender<unknown>["fork"]) => Promise<A>,
  layer = InMemoryCacheStorage.layerCollectable
): Promise<A> => {
  const managed = ManagedRuntime.make(layer)
  try {
    // Once it has been built, it runs an effect at once.
    await managed.runPromise(Effect.void)
    return await use(managed.runFork)
  } finally {
    await managed.dispose()
  }
}

/** At once where the fiber has ended without waiting. */
export const ended = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): Exit.Exit<A, E> | Promise<Exit.Exit<A, E>> => {
  let ended: Exit.Exit<A, E> | undefined
  fiber.addObserver((exit) => ended = exit)
  return ended ?? new Promise((resolve) => fiber.addObserver(resolve))
}

/** What was left for later is done within. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Microseconds of processor time for each effect, of all threads: the garbage collector's and the compiler's too. */
const window = async <A>({ fork, prepare, verify }: Contender<A>, batches: number): Promise<number> => {
  let micros = 0
  let count = 0
  for (let at = 0; at < batches; at++) {
    const effects = await prepare(batch)
    const exits: Array<Exit.Exit<A, unknown>> = []
    const before = process.cpuUsage()
    for (const effect of effects) {
      const exit = ended(fork(effect))
      exits.push(exit instanceof Promise ? await exit : exit)
    }
    await turn()
    const { system, user } = process.cpuUsage(before)
    micros += user + system
    count += effects.length
    verify(exits)
  }
  return micros / count
}

/** Runs it for so many milliseconds of processor time, and answers how many a batch takes. */
export const warm = async <A>(contender: Contender<A>, millis: number): Promise<number> => {
  let spent = 0
  let batches = 0
  while (batches < 3 || spent < millis) {
    spent += batch * await window(contender, 1) / 1000
    batches++
  }
  return spent / batches
}

/** One ratio a round: the contender's window by the mean of the baseline's windows before and after it. */
export const compare = async <A, B>(
  contender: Contender<A>,
  baseline: Contender<B>,
  effort: Effort
): Promise<ReadonlyArray<number>> => {
  await warm(contender, effort.warmUp / 2)
  await warm(baseline, effort.warmUp / 2)
  const batchesOf = (millis: number) => Math.max(1, Math.round(effort.window / millis))
  const batches = batchesOf(await warm(contender, effort.warmUp / 2))
  const baselineBatches = batchesOf(await warm(baseline, effort.warmUp / 2))
  const started = performance.now()
  const ratios: Array<number> = []
  const isLate = () => ratios.length >= effort.fewest && performance.now() - started > effort.seconds * 1000
  let before = await window(baseline, baselineBatches)
  while (ratios.length < effort.rounds && !isLate()) {
    const own = await window(contender, batches)
    const after = await window(baseline, baselineBatches)
    ratios.push(own / ((before + after) / 2))
    before = after
  }
  return ratios
}
