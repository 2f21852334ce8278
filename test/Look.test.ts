/** What a look-up costs; the numbers are those of the project's list of failures. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { CacheStorage, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** A storage that counts how often it asks which variant a request selects. */
const counting = () => {
  const asked = { times: 0 }
  const watched = Layer.effect(
    CacheStorage.CacheStorage,
    Effect.map(CacheStorage.CacheStorage, (memory): CacheStorage.Service => ({
      get: (lookup) => memory.get({ ...lookup, variantOf: (vary) => (asked.times++, lookup.variantOf(vary)) }),
      begin: memory.begin,
      set: memory.set
    }))
  ).pipe(Layer.provide(InMemoryCacheStorage.layer))
  return { asked, watched }
}

describe("a look-up", () => {
  it.effect("85: among 64 variants reads a long Accept-Language once, and answers it", () => {
    const { asked, watched } = counting()
    return Effect.gen(function*() {
      let runs = 0
      const app = Effect.sync(() => HttpServerResponse.text(`run ${++runs}`)).pipe(
        withCache({ expiry: 10, vary: ["Accept-Language"] })
      )
      const ask = (language: string) =>
        Effect.map(
          Effect.scoped(app).pipe(Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(new Request("http://localhost/", { headers: { "accept-language": language } }))
          )),
          ({ headers }) => headers["cache-status"]
        )
      for (let at = 0; at < 64; at++) yield* ask(`a${at}`)
      const long = Array.from({ length: 1500 }, (_, at) => `b${at};q=0.5`).join(",").slice(0, 15_000)
      asked.times = 0
      expect(yield* ask(long)).toBe("effect-http-cache; fwd=vary-miss; stored")
      expect(asked.times).toBeLessThanOrEqual(6)
      asked.times = 0
      expect(yield* ask(long)).toBe("effect-http-cache; hit; ttl=10")
      expect(asked.times).toBe(1)
    }).pipe(Effect.provide(watched))
  })
})

describe("what is kept of texts", () => {
  const collectGarbage = (): number => {
    setFlagsFromString("--expose-gc")
    const gc = runInNewContext("gc") as () => void
    for (let times = 0; times < 3; times++) gc()
    return process.memoryUsage().heapUsed
  }

  it.effect("88: a partition, a field and a cookie that were cut from larger texts hold no more than themselves", () =>
    Effect.gen(function*() {
      const fieldBytes = 12 * 1024
      const partition = Effect.map(
        HttpServerRequest.HttpServerRequest,
        ({ headers }) => headers["x-session"]!.slice(0, 40)
      )
      const handler = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
        HttpServerResponse.empty({
          headers: { "x-cut": headers["x-session"]!.slice(0, 40), "set-cookie": headers["x-session"]!.slice(0, 40) }
        }))
      const cached = handler.pipe(withCache({ expiry: 60, partition, cookies: "store", unkeyed: "ignore" }))
      const ask = (at: number) =>
        Effect.scoped(cached).pipe(
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(
              new Request("http://localhost/", { headers: { "x-session": `${at}=`.padEnd(fieldBytes, String(at)) } })
            )
          )
        )
      yield* ask(0)
      const before = collectGarbage()
      const items = 1000
      for (let at = 1; at <= items; at++) yield* ask(at)
      const hit = yield* ask(items)
      expect(hit.headers["cache-status"]).toContain("hit")
      // Less than half of one field each; an item itself takes some 2 KiB.
      expect((collectGarbage() - before) / items).toBeLessThan(fieldBytes / 2)
    }).pipe(Effect.provide(InMemoryCacheStorage.layer)))
})
