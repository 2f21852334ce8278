/** What processes hear of each other's collects, and have near. */
import { Effect, type Scope, Stream } from "effect"
import { CacheError, type CollectableCacheStorage, InMemoryCacheStorage, TieredCacheStorage } from "effect-http-cache"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { pushed } from "../src/runtime/effect.js"
import { eventually } from "./harness.js"
import { answering, type How } from "./waiting.js"

export const lookup = lookupOf()
export const holds = (what: Effect.Effect<boolean, unknown>) =>
  Effect.repeat(Effect.delay(Effect.orElseSucceed(what, () => false), "10 millis"), { until: (is) => is }).pipe(
    Effect.timeout("30 seconds")
  )

export const isThere = (storage: CollectableCacheStorage.Service) =>
  Effect.suspend(() => Effect.isSuccess(storage.get(lookup)))

export const isGone = (storage: CollectableCacheStorage.Service) => Effect.map(isThere(storage), (is) => !is)

export const store = (storage: CollectableCacheStorage.Service) =>
  Effect.flatMap(storage.begin(lookup), (fill) => storage.set(itemOf("hello", lookup, { lifetime: 1e13 }), fill))

/** What a listener hears. */
export const hearing = (storage: CollectableCacheStorage.SharedService) =>
  Effect.gen(function*() {
    const heard: Array<CollectableCacheStorage.Collected> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(storage.collects, (one) => Effect.sync(() => heard.push(one)))
    )
    yield* holds(Effect.sync(() => heard.length > 0))
    return { fiber, heard }
  })

type Collected = CollectableCacheStorage.Collected

export const away = (method: CacheError.CacheStorageError["method"]) =>
  new CacheError.CacheStorageError({ storage: "shared", method, key: "", cause: "it is away" })

/** What several processes share: a storage that tells all who listen. Everything of it fails while it `isAway`. */
export class Shared {
  readonly calls = { get: 0, begin: 0, set: 0 }
  isAway = false
  /** Nothing more can be stored in it. */
  isFull = false
  private readonly listeners = new Map<(collected: Collected) => void, () => void>()
  private readonly memory: CollectableCacheStorage.Service

  constructor(how: How = "at once") {
    this.memory = answering(how, InMemoryCacheStorage.make())
  }

  private asked<A, E>(method: CacheError.CacheStorageError["method"], answer: Effect.Effect<A, E>) {
    return Effect.suspend((): Effect.Effect<A, E | CacheError.CacheStorageError> => {
      if (method in this.calls) this.calls[method as "get"]++
      return this.isAway || (this.isFull && method === "set") ? away(method) : answer
    })
  }

  get service(): CollectableCacheStorage.SharedService {
    const { memory } = this
    return {
      get: (lookup) => this.asked("get", memory.get(lookup)),
      begin: (lookup) => this.asked("begin", memory.begin(lookup)),
      set: (item, fill) => this.asked("set", Effect.suspend(() => memory.set(item, fill))),
      holds: (names, fill) => this.asked("holds", memory.holds(names, fill)),
      collect: (names, style, own) =>
        this.asked(
          "collect",
          Effect.tap(memory.collect(names, style, own), () =>
            Effect.sync(() => {
              for (const tell of this.listeners.keys()) tell({ ...names, ...style })
            }))
        ),
      collects: this.isListenedTo
    }
  }

  private readonly isListenedTo = pushed<Collected, CacheError.CacheStorageError, Scope.Scope>((push, fail) => {
    const tell = (collected: Collected) => push(collected)
    const begin = this.asked(
      "collect",
      Effect.sync(() => {
        tell({ keys: [], groups: [], everything: true })
        this.listeners.set(tell, () => fail(away("collect")))
      })
    )
    return Effect.asVoid(Effect.acquireRelease(
      Effect.catchAll(begin, (error) => Effect.sync(() => fail(error))),
      () => Effect.sync(() => this.listeners.delete(tell))
    ))
  })

  get listening(): number {
    return this.listeners.size
  }

  /** Those that listen hear nothing more, and are told so. */
  disconnect(): void {
    for (const end of this.listeners.values()) end()
    this.listeners.clear()
  }
}

/** A process that has begun to listen. */
export const process = (far: CollectableCacheStorage.SharedService, near = InMemoryCacheStorage.make()) =>
  Effect.gen(function*() {
    let hasBegun = false
    const collect: typeof near.collect = (names, style) => {
      hasBegun = true
      return near.collect(names, style)
    }
    const storage = yield* TieredCacheStorage.make({ ...near, collect }, far)
    yield* eventually(() => hasBegun)
    return storage
  })
