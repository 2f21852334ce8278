/** What only the storage in Redis promises: its records, bounds, what goes by itself, and writers in several processes. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { Redis } from "ioredis"
import { keep, read } from "./keeping.js"
import { holds } from "./nearAndFar.js"
import { describeRedis, sharedServer } from "./redis.js"
import { bareClient, type ClientName, clientNames, clients, freshPrefix } from "./redisLayer.js"
import { sharedStorage } from "./sharedStorage.js"

const ofGroups = (groups: ReadonlyArray<string>) => itemOf("of groups", lookupOf(), { groups })

describeRedis("the storage in Redis", () => {
  const server = sharedServer()

  /** Processes that share what is stored, as far as Redis can tell. */
  const processes = (
    options: RedisCacheStorage.Options = {},
    names: ReadonlyArray<ClientName> = ["ioredis", "redis"]
  ) =>
    Effect.gen(function*() {
      const prefix = options.prefix ?? freshPrefix()
      const storages = yield* Effect.forEach(names, (name) =>
        Effect.map(clients[name](server.port), (redis) => RedisCacheStorage.make(redis, { ...options, prefix })))
      const bare = yield* bareClient(server.port)
      return { a: storages[0]!, b: storages.at(-1)!, bare, hash: `${prefix}{${lookupOf().key}}`, prefix }
    })

  describe.each([["ioredis", "redis"], ["redis", "ioredis"]] as const)("by %s and %s", (...names) => {
    sharedStorage((options) => processes(options, names))
  })

  const counting = (options: RedisCacheStorage.Options) =>
    Effect.map(clients.ioredis(server.port), (redis) => {
      const sent: Array<string> = []
      let trips = 0
      let waiting = 0
      const send: RedisCacheStorage.Redis["send"] = (args) => {
        sent.push(String(args[0]))
        if (waiting++ === 0) trips++
        return redis.send(args).finally(() => waiting--)
      }
      const storage = RedisCacheStorage.make({ ...redis, send }, { prefix: freshPrefix(), ...options })
      const during = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.suspend(() => {
          sent.length = trips = 0
          return Effect.map(effect, (answer) => ({ answer, sent: [...sent], trips }))
        })
      return { during, storage }
    })

  it.scopedLive("answers a miss for a record that is cut, foreign or of another version, and stores over it", () =>
    Effect.gen(function*() {
      const { a, bare, hash } = yield* processes()
      const field = "i0:"
      const change = (how: (record: Buffer) => Buffer | string) =>
        Effect.promise(async () => {
          const record = await bare.hgetBuffer(hash, field)
          await bare.hset(hash, field, how(record!))
        })
      const withVersion = (version: string) => (record: Buffer) =>
        Buffer.concat([Buffer.from(version), record.subarray(version.length)])
      const withHead = (from: string, to: string) => (record: Buffer) =>
        Buffer.from(record.toString("latin1").replace(from, to), "latin1")
      const changes: ReadonlyArray<(record: Buffer) => Buffer | string> = [
        (record) => record.subarray(0, -1),
        (record) => record.subarray(0, 7),
        (record) => Buffer.concat([record, Buffer.from("more")]),
        () => "",
        () => JSON.stringify(itemOf("of somebody else")),
        withVersion("ehc0"),
        withVersion("ehc2"),
        withHead("\"status\":200", "\"status\":999"),
        withHead("\"text/plain\"", "\"text\\nlain\""),
        withHead("\"epoch\"", "\"epocx\""),
        withHead("{\"run", "{{run"),
        withHead("users/1", "users/2")
      ]
      for (const [at, how] of changes.entries()) {
        yield* keep(a, itemOf(`body ${at}`))
        expect(yield* read(a)).toBe(`body ${at}`)
        yield* change(how)
        expect([at, yield* read(a)]).toEqual([at, "uri-miss"])
      }
      yield* Effect.promise(() => bare.hset(hash, "l", "not what is written there"))
      expect(yield* keep(a, itemOf("over it"))).toBe("kept")
      expect(yield* read(a)).toBe("over it")
    }))

  it.scopedLive.each(["not JSON", "{}", "[]", "[1]", "[null]", "[[]]", "[[\"a\",{},\"b\"]]"])(
    "142: starts anew where somebody else has written what a URI holds: %s",
    (text) =>
      Effect.gen(function*() {
        const { a, bare, hash } = yield* processes()
        yield* keep(a, itemOf("old"))
        yield* Effect.promise(() => bare.hset(hash, "p", text))
        expect(yield* keep(a, itemOf("new"))).toBe("overtaken")
        expect(yield* read(a)).toBe("uri-miss")
        expect(yield* keep(a, itemOf("new"))).toBe("kept")
        expect(yield* read(a)).toBe("new")
      })
  )

  it.scopedLive("leaves nothing for ever, and keeps what is stored for as long as it is retained", () =>
    Effect.gen(function*() {
      const { a, bare, hash, prefix } = yield* processes()
      const lasting = (lasts: number) => ({ retainUntil: Date.now() + lasts })
      yield* a.begin(lookupOf({}, { key: "http://localhost/never-stored" }))
      yield* keep(a, itemOf("1", lookupOf(), lasting(500_000)))
      const ada = lookupOf({}, { partition: "ada" })
      yield* keep(a, itemOf("2", ada, { ...lasting(200_000), groups: ["users"] }), ada)
      yield* a.collect({ keys: ["http://localhost/elsewhere"], groups: ["users"], everything: false })
      yield* a.collect({ keys: [lookupOf().key], groups: ["users"] }, { soft: true })
      const keys = yield* Effect.promise(() => bare.keys(`${prefix}*`))
      expect(keys.length).toBe(4)
      const lasts = yield* Effect.promise(() => Promise.all(keys.map((key) => bare.pttl(key))))
      expect(lasts.every((last) => last > 0)).toBe(true)
      expect(lasts[keys.indexOf(hash)]).toBeGreaterThan(490_000)
      expect(lasts[keys.indexOf(`${hash}:until`)]).toBeGreaterThan(490_000)
      expect(lasts[keys.indexOf(`${prefix}{http://localhost/never-stored}`)]).toBeLessThanOrEqual(120_000)
    }))

  it.scopedLive("drops the items of a URI that are over when it stores another one there", () =>
    Effect.gen(function*() {
      const { a, bare, hash } = yield* processes({ maxFill: 0.02 })
      const lookups = ["ada", "alan", "grace"].map((partition) => lookupOf({}, { partition }))
      for (const lookup of lookups) {
        yield* keep(a, itemOf("short", lookup, { retainUntil: Date.now() + 30 }), lookup)
      }
      yield* keep(a, itemOf("long"))
      const isDone = Effect.gen(function*() {
        yield* keep(a, itemOf("long"))
        const [fields, indexed] = yield* Effect.promise(() =>
          Promise.all([bare.hkeys(hash), bare.zcard(`${hash}:until`)])
        )
        expect(fields.sort()).toEqual(["i0:", "l", "p", "t"])
        expect(indexed).toBe(1)
      })
      yield* Effect.eventually(Effect.sandbox(isDone))
      expect(yield* read(a)).toBe("long")
    }))

  it.scopedLive("tells texts apart that are one in UTF-8", () =>
    Effect.gen(function*() {
      const { a } = yield* processes()
      const [one, other] = ["\ud800", "\udfff"].map((partition) => lookupOf({}, { partition }))
      yield* keep(a, itemOf("one's", one), one)
      expect(yield* read(a, one)).toBe("one's")
      expect(yield* read(a, other)).toBe("uri-miss")
    }))

  it.scopedLive("drops what another process has stored by a list of fields that is not known here", () =>
    Effect.gen(function*() {
      const { a, b } = yield* processes()
      const lookup = lookupOf({ accept: "text/html" })
      const fill = yield* a.begin(lookup)
      yield* keep(b, itemOf("by accept", lookup, { vary: ["accept"] }), lookup)
      expect(yield* a.set(itemOf("for everybody", lookup), fill)).toBe("kept")
      expect(yield* read(b, lookup)).toBe("for everybody")
    }))

  it.scopedLive("counts what was evicted as collected", () =>
    Effect.gen(function*() {
      const { a, b, bare, hash, prefix } = yield* processes()
      const fill = yield* a.begin(lookupOf())
      yield* Effect.promise(() => bare.del(hash))
      yield* b.begin(lookupOf())
      expect(yield* a.holds({ keys: [lookupOf().key], groups: [] }, fill)).toBe(false)
      expect(yield* a.set(itemOf("late"), fill)).toBe("overtaken")

      yield* keep(a, ofGroups(["users"]))
      const second = yield* a.begin(lookupOf())
      yield* Effect.promise(() => bare.del(`${prefix}{collects}`))
      expect(yield* read(a)).toBe("uri-miss")
      yield* b.begin(lookupOf())
      expect(yield* read(a)).toBe("uri-miss")
      expect(yield* a.set(ofGroups(["users"]), second)).toBe("overtaken")
      expect(yield* keep(a, ofGroups(["users"]))).toBe("kept")
      expect(yield* read(b)).toBe("of groups")

      yield* Effect.promise(() => bare.del(`${hash}:until`))
      expect(yield* read(b)).toBe("of groups")
      expect(yield* keep(b, itemOf("new"))).toBe("kept")
      expect(yield* read(a)).toBe("new")
    }))

  it.scopedLive("counts as collected what is of a group and began before a collect that there is no room for", () =>
    Effect.gen(function*() {
      const { a, bare, prefix } = yield* processes()
      const plain = lookupOf({}, { key: "http://localhost/plain" })
      yield* keep(a, itemOf("of no group", plain), plain)
      yield* keep(a, ofGroups(["users"]))
      yield* a.collect({ keys: [], groups: ["first"] })
      expect(yield* read(a)).toBe("of groups")
      yield* a.collect({ keys: [], groups: Array.from({ length: 100_000 }, (_, at) => `group ${at}`) })
      expect(yield* Effect.promise(() => bare.zcard(`${prefix}{collects}`))).toBeLessThanOrEqual(100_000)
      expect([yield* read(a), yield* read(a, plain)]).toEqual(["uri-miss", "of no group"])
      expect(yield* keep(a, ofGroups(["users"]))).toBe("kept")
      expect(yield* read(a)).toBe("of groups")
    }))

  it.scopedLive.each([false, true])(
    "looks up in one trip, whatever Vary and groups there are; durable: %s",
    (durable) =>
      Effect.gen(function*() {
        const { during, storage } = yield* counting({ durable })
        const lookup = lookupOf({ accept: "text/html" })
        yield* keep(storage, itemOf("by accept", lookup, { vary: ["accept"], groups: ["users", "others"] }), lookup)
        yield* read(storage, lookup)
        const { answer, sent, trips } = yield* during(read(storage, lookup))
        expect({ answer, sent, trips }).toEqual({
          answer: "by accept",
          sent: durable ? ["HMGET", "ZMSCORE"] : ["HMGET", "ZMSCORE", "SCRIPT"],
          trips: 1
        })
        const many = Array.from({ length: 20 }, () => read(storage, lookup))
        const together = yield* during(Effect.promise(() => Promise.all(many.map((one) => Effect.runPromise(one)))))
        expect([together.trips, together.sent.filter((command) => command === "HMGET").length]).toEqual([1, 20])
      })
  )

  it.scopedLive("collects a group by one command, however many items are of it", () =>
    Effect.gen(function*() {
      const { during, storage } = yield* counting({})
      const lookups = Array.from({ length: 300 }, (_, at) => lookupOf({}, { key: `http://localhost/${at}` }))
      for (const lookup of lookups) yield* keep(storage, itemOf("1", lookup, { groups: ["users"] }), lookup)
      yield* storage.collect({ keys: [], groups: ["others"] })
      const { sent } = yield* during(storage.collect({ keys: [], groups: ["users"] }))
      expect(sent).toEqual(["EVALSHA"])
      const found = yield* Effect.forEach(lookups, (lookup) => read(storage, lookup), { concurrency: 50 })
      expect(new Set(found)).toEqual(new Set(["uri-miss"]))
    }))

  it.scopedLive.each(clientNames)("%s: tells who listens what was collected", (name) =>
    Effect.gen(function*() {
      const { b, prefix } = yield* processes()
      const redis = yield* clients[name](server.port)
      const heard: Array<unknown> = []
      const stop = yield* Effect.promise(() =>
        redis.subscribe([`${prefix}collected`], (message) => heard.push(JSON.parse(message)))
      )
      yield* b.collect({ keys: ["http://localhost/a", "http://localhost/b"], groups: ["users"] }, { soft: true })
      yield* b.collect({ keys: [], groups: [], everything: true })
      yield* holds(Effect.sync(() => heard.length === 4))
      const none = { keys: [], groups: [], everything: false, soft: true }
      expect(heard).toEqual(expect.arrayContaining([
        { ...none, keys: ["http://localhost/a"] },
        { ...none, keys: ["http://localhost/b"] },
        { ...none, groups: ["users"] },
        { ...none, everything: true, soft: false }
      ]))
      yield* Effect.promise(stop)
    }))

  it.scopedLive("ioredis: listens also by a client that keeps no commands until it is connected", () =>
    Effect.gen(function*() {
      const { b, prefix } = yield* processes()
      const client = yield* Effect.acquireRelease(
        Effect.sync(() =>
          new Redis({ port: server.port, host: "127.0.0.1", enableOfflineQueue: false, lazyConnect: true })
        ),
        (client) => Effect.sync(() => client.disconnect())
      )
      const heard: Array<string> = []
      const stop = yield* Effect.promise(() =>
        RedisCacheStorage.fromIoredis(client).subscribe([`${prefix}collected`], (message) => heard.push(message))
      )
      yield* b.collect({ keys: ["http://localhost/a"], groups: [] })
      yield* holds(Effect.sync(() => heard.length === 1))
      yield* Effect.promise(stop)
    }))

  it("says which option is not as it must be", () => {
    const redis: RedisCacheStorage.Redis = {
      isCluster: false,
      send: () => Promise.resolve(null),
      subscribe: () => Promise.reject(new Error("nobody listens"))
    }
    const given = (options: object) => () => RedisCacheStorage.layer(redis, options)
    expect(given({ maxItemBytes: 0 })).toThrow(
      "RedisCacheStorage: maxItemBytes is 0; it must be a whole number, 1 or more"
    )
    expect(given({ maxFill: "1 minute" })).toThrow("a number of seconds above 0")
    expect(given({ durable: "yes" })).toThrow("true or false")
    expect(given({ prefix: 1 })).toThrow("a text")
    expect(given({ ttl: 1 })).toThrow("there is no option ttl")
  })
})
