/** Nothing is left for ever: after many sets, collects and expiries Redis has the keys of what is retained, and no other. */
import { expect, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { describeRedis, sharedServer } from "./redis.js"
import { bareClient, clientNames, clients, freshPrefix } from "./redisLayer.js"

const hour = 60 * 60 * 1000
/** Milliseconds. */
const short = 30
/** Seconds. */
const maxFill = 0.2

/** Numbers below 1, the same in each run. */
const numbersFrom = (seed: number) => () => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
  return seed / 2 ** 31
}

describeRedis("a soak of the storage in Redis", () => {
  const server = sharedServer()

  it.scopedLive.each(clientNames)(
    "%s: leaves the keys of what is alive by retainUntil, and the ledger",
    (name) =>
      Effect.gen(function*() {
        const prefix = freshPrefix()
        const storage = RedisCacheStorage.make(yield* clients[name](server.port), { prefix, maxFill })
        const bare = yield* bareClient(server.port)
        const seen = { kept: 0, collects: 0, expiries: 0, fills: 0 }

        /** Works on one URI, and answers whether its keys must be there in the end. */
        const work = (at: number) =>
          Effect.gen(function*() {
            const random = numbersFrom(at + 1)
            const lookup = lookupOf({}, { key: `http://localhost/${at}` })
            let isAlive = false
            for (let step = 0; step < 40; step++) {
              const action = random()
              if (action < 0.2) {
                yield* storage.collect({ keys: [lookup.key], groups: [] }, { soft: action < 0.05 })
                seen.collects++
                if (action >= 0.05) isAlive = false
              } else if (action < 0.25) {
                yield* storage.collect({ keys: [], groups: [`group ${at % 10}`] })
                seen.collects++
              } else if (action < 0.35) {
                yield* storage.begin(lookup)
                seen.fills++
              } else {
                const fill = yield* storage.begin(lookup)
                const lasts = random() < 0.5 ? short : hour
                const retainUntil = (yield* Clock.currentTimeMillis) + lasts
                const groups = random() < 0.5 ? [`group ${at % 10}`] : []
                const kept = yield* storage.set(itemOf("x", lookup, { retainUntil, groups }), fill)
                if (kept !== "kept") continue
                seen.kept++
                if (lasts === short) seen.expiries++
                isAlive = lasts === hour
              }
            }
            return isAlive
          })

        const alive = yield* Effect.forEach(Array.from({ length: 100 }, (_, at) => at), work, { concurrency: 20 })
        for (const count of Object.values(seen)) expect(count).toBeGreaterThan(200)
        const expected = alive.flatMap((isAlive, at) => {
          const hash = `${prefix}{http://localhost/${at}}`
          return isAlive ? [hash, `${hash}:until`] : []
        })
        expect(expected.length).toBeGreaterThan(20)
        const left = () => Effect.promise(() => bare.keys(`${prefix}*`))
        const all = [...expected, `${prefix}{collects}`]
        // What expires goes in the time of the machine.
        yield* Effect.repeat(Effect.delay(left(), 50), { until: (keys) => keys.length <= all.length, times: 200 })
        expect(new Set(yield* left())).toEqual(new Set(all))
        for (const key of all) expect(yield* Effect.promise(() => bare.pttl(key))).toBeGreaterThan(0)
      })
  )
})
