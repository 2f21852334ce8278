/** The inspector of a process whose storage several processes share. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  CollectableCacheStorage,
  HttpCacheInspector,
  InMemoryCacheStorage,
  TieredCacheStorage,
  withCache
} from "effect-http-cache"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { counted, routes } from "./harness.js"
import { holds } from "./nearAndFar.js"
import { asking } from "./inspectorApp.js"
import { describeRedis, sharedServer } from "./redis.js"
import { clientNames, clients, freshPrefix } from "./redisLayer.js"

const storages = {
  "in Redis": (redis: RedisCacheStorage.Redis, prefix: string) =>
    Effect.succeed(RedisCacheStorage.make(redis, { prefix })),
  "near and in Redis": (redis: RedisCacheStorage.Redis, prefix: string) =>
    TieredCacheStorage.make(InMemoryCacheStorage.make(), RedisCacheStorage.make(redis, { prefix }), { farTimeout: 5 })
} as const

const kinds = ["in Redis", "near and in Redis"] as const

describeRedis("the inspector over a shared storage", () => {
  const server = sharedServer()

  it.scopedLive.each(clientNames.flatMap((client) => kinds.map((kind) => [kind, client] as const)))(
    "%s (%s): has tables, looks a URI up, explains a request, and collects for every process",
    ([kind, client]) =>
      Effect.gen(function*() {
        const prefix = freshPrefix()
        const processOf = Effect.flatMap(clients[client](server.port), (redis) => storages[kind](redis, prefix))
        const page = counted({ headers: { "x-edition": "morning" } }).pipe(
          withCache({ expiry: 60, groups: () => ["news"] })
        )
        const app = routes({ "GET /news": page }).pipe(
          HttpCacheInspector.middleware({ path: "/inspector", unguarded: true })
        )
        const browser = (storage: CollectableCacheStorage.Service) =>
          Effect.provide(asking(app), CollectableCacheStorage.layer(Effect.succeed(storage)))
        const { collect, get, status, text } = yield* browser(yield* processOf)
        const other = yield* browser(yield* processOf)

        expect(yield* status("/news")).toBe("fwd=uri-miss; stored")
        expect(yield* status("/news")).toMatch(/^hit; /)
        expect(yield* other.status("/news")).toMatch(/^hit; /)
        const overview = yield* text("/inspector")
        expect(overview).toContain("inspector/item?uri=http%3A%2F%2Flocalhost%2Fnews")
        expect(overview).toContain("the storage does not tell")
        const looked = yield* text("/inspector/item?uri=/news")
        for (const shown of ["morning", "Fresh for ", "news"]) expect(looked).toContain(shown)
        const explained = yield* get("/inspector/explain?url=/news", { accept: "application/json" })
        expect(yield* Effect.promise(() => explained.json())).toMatchObject({ outcome: { _tag: "Hit" } })

        expect((yield* collect({ group: "news" })).status).toBe(303)
        expect(yield* text("/inspector/item?uri=/news")).toContain("Nothing is stored")
        yield* holds(Effect.map(other.status("/news"), (said) => said === "fwd=uri-miss; stored"))
        expect(yield* status("/news")).toMatch(/^hit; /)
        expect((yield* collect({ uri: "/news" })).status).toBe(303)
        expect(yield* status("/news")).toBe("fwd=uri-miss; stored")
      })
  )
})
