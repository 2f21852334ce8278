/**
 * Random interleavings of requests and collects, against a model that knows how old a value each client may still be
 * shown. A function of the seed: every storage call and every step of a handler waits until it is let go on, and who is
 * next is for the dice to say. The clock of every other world stands still. With a lane most reads of the storage end at once,
 * since a lane waits for none.
 */
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { CacheError, type CacheStorage, CollectableCacheStorage, InMemoryCacheStorage } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { setImmediate } from "node:timers/promises"
import { makeLane } from "./modelLane.js"
import { type Door, paths, siteOf, type Tally, World } from "./modelWorld.js"
import { answering, type How } from "./waiting.js"

export interface Plan {
  readonly seed: number
  /** What clients and the driver do; the steps in between are not counted. */
  readonly operations: number
  readonly storage: How
  readonly lane: boolean
}

type Method = CacheError.CacheStorageError["method"]

const down = (method: Method) =>
  new CacheError.CacheStorageError({ storage: "model", method, key: "", cause: "trouble" })

const operationsPerWorld = 250
const most = 10

const live = async ({ lane, seed, storage: how }: Plan, number: number, count: number, tally: Tally): Promise<void> => {
  const world = new World(seed, number, tally)
  const { clock, dice, turn } = world
  const clockMoves = number % 2 === 0

  let trouble = 0
  const stored = new Map<string, CacheStorage.Lookup>()
  const isInTrouble = (): boolean => trouble > 0 && trouble-- > 0
  const call = <A, E>(method: Method, effect: Effect.Effect<A, E>) =>
    Effect.gen(function*() {
      yield* turn
      const fails = isInTrouble()
      if (fails && dice.is(0.5)) return yield* down(method)
      const answer = yield* Effect.exit(effect)
      yield* turn
      // What has failed may have been done.
      return yield* fails ? down(method) : answer
    })
  const limits = dice.one([{}, { maxItems: 2 }, { maxBytes: 8 * 1024 }])
  const scope = Effect.runSync(Scope.make())
  const memory = Context.get(
    Effect.runSync(Layer.buildWithScope(InMemoryCacheStorage.layerWith(limits), scope)),
    CollectableCacheStorage.CollectableCacheStorage
  )
  const storage = answering(how, {
    get: (lookup) => {
      if (!lane || dice.is(0.1)) return call("get", Effect.suspend(() => memory.get(lookup)))
      return isInTrouble() ? Exit.fail(down("get")) : memory.get(lookup)
    },
    begin: (lookup) => call("begin", Effect.suspend(() => memory.begin(lookup))),
    set: (item, fill) => {
      if (item !== undefined) stored.set(`${item.key} ${item.variant}`, fill.lookup)
      return Effect.tap(
        call("set", Effect.suspend(() => memory.set(item, fill))),
        (kept) => world.tell(kept === "kept" ? "kept" : "not kept")
      )
    },
    collect: (names, style, own) => call("collect", Effect.suspend(() => memory.collect(names, style, own))),
    holds: (names, fill) => call("holds", Effect.suspend(() => memory.holds(names, fill)))
  })

  /** No later request may be shown less: it was written before a collect that has been answered. */
  const floors = new Map(paths.map((path) => [path, 0]))
  const door: Door = {
    name: "",
    context: Effect.runSync(Layer.buildWithScope(CollectableCacheStorage.layer(Effect.succeed(storage)), scope)),
    lane: lane ? makeLane() : undefined,
    leastOf: (path) => floors.get(path)!,
    collected: (written) => {
      for (const [path, value] of written) floors.set(path, Math.max(floors.get(path)!, value))
    }
  }
  const site = siteOf(world, [0, 1, 1, 10])

  const evict = (): void => {
    for (const [place, lookup] of stored) {
      const fill = Effect.runSync(memory.begin(lookup))
      if (fill.item === undefined || dice.is(0.5)) continue
      Effect.runSync(memory.set(undefined, fill))
      world.note(`evict ${place}`)
      world.tell("evicted")
      return
    }
  }

  for (let done = 0; done < count;) {
    const roll = dice.next()
    const isOperation = world.clients < most && roll < 0.35
    if (isOperation) done++
    if (!isOperation) world.release()
    else if (roll < 0.27) site.get(door)
    else if (roll < 0.3) site.collect(door)
    else if (roll < 0.31) evict()
    else if (roll < 0.33 && clockMoves) await world.pass(clock.now + dice.one([1, 300, 1000, 5000, 20_000]))
    else if (roll < 0.332 && clockMoves) trouble = 1 + dice.below(3)
    else if (roll < 0.34) world.interruptOne()
    world.settle()
  }

  // It leaves nothing.
  world.end()
  if (activity(storage).flights > 0 || activity(storage).waiters !== 0) world.found("a flight is left")
  world.run(Scope.close(scope, Exit.void))
  world.settle()
}

/** Rejects with the first answer that is too old. */
export const model = async (plan: Plan): Promise<Tally> => {
  const tally: Tally = {}
  const { operations } = plan
  for (let done = 0, number = 0; done < operations; done += operationsPerWorld, number++) {
    await live(plan, number, Math.min(operationsPerWorld, operations - done), tally)
    await setImmediate()
  }
  return tally
}
