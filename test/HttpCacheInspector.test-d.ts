/** What the compiler says of an inspector: who may look is said, and what that needs is not lost. */
import type { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { expectTypeOf, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import { type CacheStorage, HttpCacheInspector } from "effect-http-cache"

class Session extends Context.Tag("Session")<Session, { readonly isOperator: boolean }>() {}

const authorize = Effect.map(Session, ({ isOperator }) => isOperator)

declare const app: Effect.Effect<HttpServerResponse.HttpServerResponse, "down", HttpServerRequest.HttpServerRequest>

it("middleware needs the storage, and what authorize needs", () => {
  expectTypeOf(HttpCacheInspector.middleware({ path: "/inspector", authorize })(app)).toEqualTypeOf<
    Effect.Effect<
      HttpServerResponse.HttpServerResponse,
      "down",
      HttpServerRequest.HttpServerRequest | CacheStorage.CacheStorage | Session
    >
  >()
})

it("path is required, and one of authorize and unguarded", () => {
  // @ts-expect-error there is no authorize
  HttpCacheInspector.layer({ path: "/inspector" })
  // @ts-expect-error there is no path
  HttpCacheInspector.middleware({ unguarded: true })
  // @ts-expect-error it is one of the two
  HttpCacheInspector.layer({ path: "/inspector", authorize, unguarded: true })
  // @ts-expect-error it is true or left out
  HttpCacheInspector.layer({ path: "/inspector", unguarded: false })
  // @ts-expect-error there is no such option
  HttpCacheInspector.layer({ path: "/inspector", authorize, title: "Cache" })
})
