/** The storage over a cluster of three servers. */
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import type { CacheStorage } from "effect-http-cache"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { collectableLaws, itemOf, lookupOf } from "effect-http-cache/testing"
import { slotOf } from "../src/redis/slot.js"
import { keep, read } from "./keeping.js"
import { describeRedis } from "./redis.js"
import { clientNames, clusterClients, freshPrefix } from "./redisLayer.js"
import { redisCluster } from "./redisServer.js"

describeRedis("a cluster of Redis", () => {
  const scope = Effect.runSync(Scope.make())
  let cluster: Effect.Effect.Success<typeof redisCluster>
  const redis: Partial<Record<"ioredis" | "redis", RedisCacheStorage.Redis>> = {}
  beforeAll(async () => {
    cluster = await Effect.runPromise(Scope.extend(redisCluster, scope))
    for (const name of clientNames) {
      const client = clusterClients[name](cluster.servers[0]!.port)
      redis[name] = await Effect.runPromise(Scope.extend(client, scope))
    }
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const laws = collectableLaws({ tooLarge: 9 * 1024 * 1024 })
  const cases = clientNames.flatMap((client) =>
    [false, true].flatMap((durable) => laws.map((law) => ({ ...law, client, durable })))
  )

  it.live.each(cases)(
    "$client, durable: $durable: $title",
    ({ client, durable, test }) =>
      Effect.suspend(() =>
        Effect.provide(test, Layer.fresh(RedisCacheStorage.layer(redis[client]!, { durable, prefix: freshPrefix() })))
      )
  )

  it.live("computes the slot of a key as the servers do", () =>
    Effect.gen(function*() {
      const keys = ["", "a", "{", "{}", "{a}b", "a{b", "a{b}c{d}", "a{}{b}", "a}b{c}", "http://localhost/ü{1}?a={b}"]
      const slots = yield* Effect.promise(() =>
        Promise.all(keys.map((key) => cluster.bare[0]!.call("CLUSTER", ["KEYSLOT", key])))
      )
      expect(keys.map(slotOf)).toEqual(slots)
    }))

  it.live.each(clientNames)(
    "157: looks up at once, by %s, what is of more groups than a script can hand on",
    (client) =>
      Effect.gen(function*() {
        const storage = RedisCacheStorage.make(redis[client]!, { prefix: freshPrefix() })
        const lookups = Array.from({ length: 12 }, (_, at) => lookupOf({}, { key: `http://localhost/${at}` }))
        const groupsOf = ({ key }: CacheStorage.Lookup) => Array.from({ length: 256 }, (_, at) => `${key} ${at}`)
        const keepAll = Effect.forEach(
          lookups,
          (lookup) => keep(storage, itemOf(lookup.key, lookup, { groups: groupsOf(lookup) }), lookup)
        )
        expect(yield* keepAll).toEqual(lookups.map(() => "kept"))
        yield* storage.collect({ keys: [], groups: groupsOf(lookups[11]!).slice(255) })
        const found = yield* Effect.forEach(lookups, (lookup) => read(storage, lookup), { concurrency: "unbounded" })
        expect(found).toEqual([...lookups.slice(0, 11).map(({ key }) => key), "uri-miss"])
      })
  )

  it.live("keeps items on each of the servers, and brings back none that was collected from one that is started again", () =>
    Effect.gen(function*() {
      const [a, b] = clientNames.map((name) => RedisCacheStorage.make(redis[name]!, { prefix: "restarted:" }))
      const lookups = Array.from({ length: 30 }, (_, at) => lookupOf({}, { key: `http://localhost/${at}` }))
      yield* Effect.forEach(
        lookups,
        (lookup, at) =>
          Effect.flatMap(
            a!.begin(lookup),
            (fill) => a!.set(itemOf(lookup.key, lookup, { groups: at % 2 === 0 ? ["even"] : [] }), fill)
          )
      )
      const found = Effect.forEach(lookups, (lookup) => Effect.isSuccess(b!.get(lookup)))
      expect((yield* found).every((isFound) => isFound)).toBe(true)
      const third = (key: string) => Math.floor(slotOf(`restarted:{${key}}`) / (16_384 / 3))
      const on = lookups.map(({ key }) => third(key))
      expect(new Set(on)).toEqual(new Set([0, 1, 2]))

      // The server that does not count the collects.
      const at = third("collects") === 1 ? 2 : 1
      const [server, bare] = [cluster.servers[at]!, cluster.bare[at]!]
      yield* Effect.promise(() => bare.save())
      yield* a!.collect({ keys: lookups.slice(0, 10).map(({ key }) => key), groups: ["even"] })
      const after = lookups.map((_, index) => index >= 10 && index % 2 === 1)
      expect(yield* found).toEqual(after)
      yield* Effect.promise(async () => {
        await server.stop()
        await server.start()
      })
      const isReached = (storage: typeof a) =>
        Effect.eventually(Effect.forEach(lookups, (lookup) => storage!.begin(lookup), { discard: true }))
      yield* Effect.all([isReached(a), isReached(b)])
      expect(yield* found).toEqual(after.map((isFound, index) => isFound && on[index] !== at))
    }))
})
