/** What all processes collect, as Redis tells those that listen. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import { CacheStorageError } from "../CacheError.js"
import type { Collected } from "../CollectableCacheStorage.js"
import { pushed } from "../runtime/effect.js"
import type { Redis } from "./port.js"

const everything: Collected = { keys: [], groups: [], everything: true }

const isTexts = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((text) => typeof text === "string")

/** What can't be read may be about anything. */
const parse = (message: string): Collected => {
  try {
    const { everything: all, groups, keys, soft } = JSON.parse(message) as { readonly [name: string]: unknown }
    if (!isTexts(keys) || !isTexts(groups)) return everything
    return { keys, groups, everything: all === true, soft: soft === true || soft === "unless-error" ? soft : false }
  } catch {
    return everything
  }
}

/** How often a listener sends something to itself, which must have arrived by the next time. */
const beatsEvery = "300 millis"

const lost = (cause: unknown) =>
  new CacheStorageError({ storage: "RedisCacheStorage", method: "collect", key: "*", cause })

/** A connection can be lost without a word: a listener hears itself too, and fails when it does not. */
export const collectsOf = (redis: Redis, channel: string): Stream.Stream<Collected, CacheStorageError> =>
  pushed<Collected, CacheStorageError, Scope.Scope>((push, fail) =>
    Effect.gen(function*() {
      const own = `${channel}:${randomBytes(12).toString("base64url")}`
      let hasHeard = true
      const listener = (message: string) => {
        if (message === "") hasHeard = true
        else push(parse(message))
      }
      yield* Effect.acquireRelease(
        Effect.tryPromise({ try: () => redis.subscribe([channel, own], listener), catch: lost }),
        (stop) => Effect.ignore(Effect.tryPromise(stop))
      )
      push(everything)
      const beat = Effect.suspend(() => {
        if (!hasHeard) return lost("it is not heard what it publishes")
        hasHeard = false
        return Effect.ignore(Effect.tryPromise(() => redis.send(["PUBLISH", own, ""])))
      })
      yield* Effect.repeat(beat, Schedule.spaced(beatsEvery)).pipe(
        Effect.asVoid,
        Effect.catchAll((error) => Effect.sync(() => fail(error))),
        Effect.forkScoped
      )
    })
  )
