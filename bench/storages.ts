/**
 * What a storage outside the process costs, as ratios within one run: `npm run bench:storages`, or one part of it:
 * `npm run bench:storages -- redis`, `sqlite`, `memory` or `near`. A server of Redis is started for it, on this machine.
 */
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { SqlClient } from "@effect/sql"
import { Effect, Layer, ManagedRuntime, Stream } from "effect"
import {
  type CacheItem,
  type CacheStorage,
  CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  TieredCacheStorage,
  withCache
} from "effect-http-cache"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { SqlCacheStorage } from "effect-http-cache/sql"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { bareClient, type ClientName, clientNames, clients, freshPrefix } from "../test/redisLayer.js"
import { redisServer } from "../test/redisServer.js"
import { clientOf, sqliteFile } from "../test/sqliteLayer.js"
import { overPortFar } from "./overPort.js"
import { head, type Limit, Results } from "./table.js"

const rounds = 15
/** Milliseconds. */
const window = 150

const isStrict = process.argv.includes("--strict")

/** How many a millisecond, with so many in flight. */
const rate = async (once: () => Promise<unknown>, inFlight: number): Promise<number> => {
  const begun = performance.now()
  let done = 0
  const worker = async () => {
    while (performance.now() - begun < window) {
      await once()
      done++
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return done / (performance.now() - begun)
}

/** How much longer the second takes than the first, window by window in turn. */
const ratios = async (
  bare: () => Promise<unknown>,
  once: () => Promise<unknown>,
  inFlight: number
): Promise<ReadonlyArray<number>> => {
  const found: Array<number> = []
  for (let round = -2; round < rounds; round++) {
    const before = await rate(bare, inFlight)
    const measured = await rate(once, inFlight)
    const after = await rate(bare, inFlight)
    if (round >= 0) found.push((before + after) / 2 / measured)
  }
  return found
}

const body = new Uint8Array(1024).fill(97)
const storageOf = CollectableCacheStorage.CollectableCacheStorage

const results = new Results()

const expectThat = (what: string, is: unknown, expected: unknown): void => {
  if (is !== expected) throw new Error(`${what} is ${String(is)}, and not ${String(expected)}`)
}

const keep = (storage: CollectableCacheStorage.Service, kept: CacheItem.CacheItem, at: CacheStorage.Lookup) =>
  Effect.flatMap(storage.begin(at), (fill) => storage.set(kept, fill))

const lookup = lookupOf()
const item = itemOf("", lookup, { body })
/** One of three groups that has `Vary`. */
const grouped = lookupOf({ accept: "text/html" }, { key: "http://localhost/grouped" })
const groupedItem = itemOf("", grouped, { body, vary: ["accept"], groups: ["a", "b", "c"] })

const getting = (from: CollectableCacheStorage.Service, at = lookup) => () => Effect.runPromise(from.get(at))

const app = HttpRouter.empty.pipe(
  HttpRouter.get("/", HttpServerResponse.uint8Array(body).pipe(withCache({ expiry: 3600 })))
)

type Storages = CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage

/** Uses hits of a route with this storage. */
const hitting = async (layer: Layer.Layer<Storages>, use: (hit: () => Promise<void>) => Promise<void>) => {
  const runtime = ManagedRuntime.make(layer)
  const ask = () =>
    runtime.runPromise(Effect.scoped(app.pipe(
      Effect.provideService(
        HttpServerRequest.HttpServerRequest,
        HttpServerRequest.fromWeb(new Request("http://localhost/"))
      ),
      // A window that is waited for by many is no failure of the storage.
      Effect.provideService(HttpCache.Defaults, { storageTimeout: 10 })
    )))
  await ask()
  await use(async () => {
    const said = (await ask()).headers["cache-status"] ?? ""
    if (!said.includes("; hit")) throw new Error(`a hit says ${said}`)
  })
  await runtime.dispose()
}

/** So many items of one group. */
const fillWith = (storage: CollectableCacheStorage.Service, group: string, items: number) =>
  Effect.forEach(
    Array.from({ length: items }, (_, at) => lookupOf({}, { key: `http://localhost/${group}/${at}` })),
    (at) => keep(storage, itemOf("", at, { groups: [group] }), at),
    { concurrency: 100, discard: true }
  )

const collecting = (storage: CollectableCacheStorage.Service, group: string) => () =>
  Effect.runPromise(storage.collect({ keys: [], groups: [group] }))

const measureClient = (port: number, name: ClientName) =>
  Effect.gen(function*() {
    const redis = yield* clients[name](port)
    const storage = RedisCacheStorage.make(redis, { prefix: freshPrefix() })
    const durable = RedisCacheStorage.make(redis, { prefix: freshPrefix(), durable: true })
    yield* keep(storage, item, lookup)
    yield* keep(durable, item, lookup)
    yield* keep(storage, groupedItem, grouped)
    yield* Effect.promise(() => redis.send(["SET", "bare", Buffer.alloc(1600, 97)]))
    const client = yield* bareClient(port)
    const bare = name === "ioredis" ? () => client.getBuffer("bare") : () => redis.send(["GET", "bare"])
    yield* Effect.promise(async () => {
      expectThat("the body", (await getting(storage)()).body.byteLength, body.byteLength)
      head(`Redis, by ${name}: time by that of a GET of the same bytes`)
      const row = (title: string, limit: Limit, once: () => Promise<unknown>, inFlight: number) =>
        results.row(title, limit, () => ratios(bare, once, inFlight))
      await row("control: a bare GET", { about: 1 }, bare, 1)
      await row("get, one in flight", { most: 1.35 }, getting(storage), 1)
      await row("get, one in flight, durable", { most: 1.35 }, getting(durable), 1)
      await row("get with Vary and three groups, one in flight", { most: 2 }, getting(storage, grouped), 1)
      await row("get, 50 in flight", { most: 4 }, getting(storage), 50)
      await row("get, 50 in flight, durable", { most: 4 }, getting(durable), 50)
      await row("get with Vary and three groups, 50 in flight", { most: 5 }, getting(storage, grouped), 50)
      await row("begin and set, one in flight", { most: 6 }, () => Effect.runPromise(keep(storage, item, lookup)), 1)
    })

    yield* Effect.promise(() =>
      hitting(RedisCacheStorage.layer(redis, { prefix: freshPrefix() }), (hit) =>
        results.row("through a route, 50 in flight", { most: 6 }, () => ratios(bare, hit, 50)))
    )

    const collects = RedisCacheStorage.make(redis, { prefix: freshPrefix() })
    yield* fillWith(collects, "few", 1000)
    yield* fillWith(collects, "many", 20_000)
    yield* Effect.promise(() =>
      results.row("collect of a group of 20,000, by one of 1,000", { about: 1 }, () =>
        ratios(collecting(collects, "few"), collecting(collects, "many"), 1))
    )
  })

const sqlite = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const storage = yield* SqlCacheStorage.make()
  yield* keep(storage, item, lookup)
  yield* keep(storage, groupedItem, grouped)
  yield* sql`CREATE TABLE bare (id INTEGER PRIMARY KEY, name TEXT NOT NULL, record BLOB NOT NULL)`
  yield* sql`CREATE INDEX bare_name ON bare (name)`
  yield* sql`INSERT INTO bare (name, record) VALUES ('bare', ${Buffer.alloc(1600, 97)})`
  const connection = yield* Effect.scoped(sql.reserve)
  const select = connection.execute("SELECT record FROM bare WHERE name = ?", ["bare"], undefined)
  const bare = () => Effect.runPromise(select)
  yield* Effect.promise(async () => {
    expectThat("the body", (await getting(storage)()).body.byteLength, body.byteLength)
    head("SQLite: time by that of a SELECT of the same bytes")
    await results.row("control: a bare SELECT on a reserved connection", { about: 1 }, () => ratios(bare, bare, 1))
    await results.row("get", { most: 2.5 }, () => ratios(bare, getting(storage), 1))
    await results.row("get with Vary and three groups", { most: 4 }, () => ratios(bare, getting(storage, grouped), 1))
  })
})

/** One of so many groups. */
const at = (groups: number) => ({ ...lookup, key: `http://localhost/${groups}` })

const memory = Effect.gen(function*() {
  const storage = yield* storageOf
  for (const groups of [0, 3, 30]) {
    const item = itemOf("", at(groups), {
      body,
      groups: Array.from({ length: groups }, (_, group) => `group ${group}`)
    })
    yield* Effect.flatMap(storage.begin(at(groups)), (fill) => storage.set(item, fill))
  }
  yield* storage.collect({ keys: [], groups: ["another"] })
  const many = (groups: number) => {
    const lookup = at(groups)
    return async () => {
      for (let count = 0; count < 1000; count++) storage.get(lookup)
    }
  }
  yield* Effect.promise(async () => {
    head("memory: a look-up, by one of an item without groups")
    await results.row("of three groups", { most: 6 }, () => ratios(many(0), many(3), 1))
    await results.row("of thirty groups", { most: 60 }, () => ratios(many(0), many(30), 1))
  })
  yield* fillWith(storage, "few", 1000)
  yield* fillWith(storage, "many", 100_000)
  yield* Effect.promise(async () => {
    head("memory: a collect of a group of 100,000 items, by one of 1,000")
    await results.row(
      "collect",
      { most: 1.5 },
      () => ratios(collecting(storage, "few"), collecting(storage, "many"), 1)
    )
  })
})

/** Before one that is never asked. */
const nearMemory = CollectableCacheStorage.layer(
  Effect.suspend(() => {
    const far = { ...InMemoryCacheStorage.make(), collects: Stream.never }
    return TieredCacheStorage.make(InMemoryCacheStorage.make(), far)
  })
)

const near = Effect.promise(() =>
  hitting(Layer.fresh(InMemoryCacheStorage.layerCollectable), (inMemory) =>
    hitting(nearMemory, async (inTiers) => {
      head("near and far: a hit near through a route, by one in memory")
      await results.row("control: in memory", { about: 1 }, () => ratios(inMemory, inMemory, 1))
      await results.row("near", { most: 1.1 }, () => ratios(inMemory, inTiers, 1))
    }))
)

const parts = {
  redis: Effect.gen(function*() {
    const { port } = yield* redisServer()
    for (const name of clientNames) yield* Effect.scoped(measureClient(port, name))
    yield* Effect.promise(() => overPortFar(port, results, { seconds: 1, rounds: 5 }))
  }),
  sqlite: Effect.flatMap(sqliteFile, (filename) => Effect.provide(sqlite, clientOf(filename))),
  memory: Effect.provide(memory, Layer.fresh(InMemoryCacheStorage.layerWith({ maxBytes: 2 ** 30 }))),
  near
}

const asked = Object.entries(parts).filter(([name]) => process.argv.includes(name))
for (const [, part] of asked.length > 0 ? asked : Object.entries(parts)) await Effect.runPromise(Effect.scoped(part))
console.log(`\n${results.missed} limits do not hold.`)
if (results.isDisturbed) console.log("A control does not hold: something else disturbed this run.")
if (results.failed > 0 || (isStrict && results.missed > 0)) process.exitCode = 1
