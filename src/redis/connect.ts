/** A client of `ioredis` for who has none. The package is an optional peer: it is loaded when it is needed. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { fromIoredis } from "./clients.js"
import type { Redis } from "./port.js"

const importIoredis = Effect.tryPromise({
  try: () => import("ioredis"),
  catch: () => new TypeError("RedisCacheStorage: layerConfig needs the package ioredis: npm install ioredis")
})

/** Milliseconds. */
const patience = 2000

const settings = {
  lazyConnect: true,
  // While there is no connection, a request goes on at once.
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  connectTimeout: patience,
  // A server that is gone without a word is noticed so late.
  socketTimeout: 5000,
  retryStrategy: (attempt: number) => Math.min(attempt * 50, 1000)
}

const isUrl = (text: string): boolean => URL.canParse(text) && /^rediss?:\/\/[^/?#]/.test(text)

const fail = (what: string) => Effect.fail(new TypeError(`RedisCacheStorage: ${what}`))

/** What the server says where the URL is wrong, and not the moment. */
const refusal = /WRONGPASS|NOAUTH|DB index/

/** Waits for the first attempt. A server that is not there is tried again until the scope closes. */
export const connect = (url: Redacted.Redacted): Effect.Effect<Redis, TypeError, Scope.Scope> =>
  Effect.gen(function*() {
    // It is not shown, for the password that it may have.
    if (!isUrl(Redacted.value(url))) return yield* fail("url must be redis://host:port, or rediss://host:port for TLS")
    const { Redis } = yield* importIoredis
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new Redis(Redacted.value(url), settings)),
      (client) => Effect.sync(() => client.disconnect())
    )
    let refused: string | undefined
    client.on("error", ({ message }) => {
      if (refusal.test(message)) refused = message
    })
    yield* Effect.ignore(Effect.timeout(Effect.tryPromise(() => client.connect()), patience))
    return refused === undefined ? fromIoredis(client) : yield* fail(`Redis refuses the url: ${refused}`)
  })
