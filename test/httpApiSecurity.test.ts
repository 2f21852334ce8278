/** `HttpApiCache` at endpoints whose security reads who is asking, outside of the cache, and which have no `partition`. */
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSecurity
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpApiCache } from "effect-http-cache"
import { appOfApi, lettingIn, serve, TestServer } from "./harness.js"

class Session extends HttpApiMiddleware.Tag<Session>()("Session", {
  security: { session: HttpApiSecurity.apiKey({ in: "cookie", key: "sid" }) }
}) {}
class Bearer extends HttpApiMiddleware.Tag<Bearer>()("Bearer", {
  security: { bearer: HttpApiSecurity.bearer }
}) {}

const Services = Layer.merge(TestServer, NodeHttpServer.layerContext)

const shared = { expiry: 60, cacheControl: "public" } as const
const api = HttpApi.make("api")
  .add(
    HttpApiGroup.make("sessions").add(HttpApiEndpoint.get("own", "/sessions/own").addSuccess(Schema.String))
      .add(
        HttpApiEndpoint.get("shared", "/sessions/shared").addSuccess(Schema.String).annotate(
          HttpApiCache.Policy,
          shared
        )
      )
      .middleware(Session)
  )
  .add(
    HttpApiGroup.make("tokens").add(HttpApiEndpoint.get("own", "/tokens/own").addSuccess(Schema.String))
      .add(
        HttpApiEndpoint.get("shared", "/tokens/shared").addSuccess(Schema.String).annotate(HttpApiCache.Policy, shared)
      )
      .middleware(Bearer)
  )
  .annotate(HttpApiCache.Policy, { expiry: 60 })

let runs = 0
const run = () => Effect.sync(() => `run ${++runs}`)
const groups = Layer.merge(
  HttpApiBuilder.group(
    api,
    "sessions",
    (handlers) => handlers.handle("own", run).handle("shared", run).pipe(HttpApiCache.cached(api))
  ),
  HttpApiBuilder.group(
    api,
    "tokens",
    (handlers) => handlers.handle("own", run).handle("shared", run).pipe(HttpApiCache.cached(api))
  )
).pipe(
  Layer.provide([Layer.succeed(Session, { session: lettingIn }), Layer.succeed(Bearer, { bearer: lettingIn })])
)

it.scoped.each<[string, `/${string}`, ReadonlyArray<Record<string, string>>]>([
  ["a session in a cookie", "/sessions", [{ cookie: "sid=ada" }, { cookie: "sid=alan" }, {}]],
  ["nobody, who is let in without a token", "/tokens", [{}, { authorization: "Bearer ada" }]]
])(
  "206: what an endpoint answers to %s is for nobody else, unless its policy says public",
  ([, path, users]) =>
    Effect.gen(function*() {
      const ask = yield* Effect.flatMap(appOfApi(Layer.provide(HttpApiBuilder.api(api), groups)), serve)
      const told = (kind: string) =>
        Effect.forEach(users, (headers) =>
          Effect.map(ask(`${path}/${kind}`, { headers }), ({ cacheStatus, headers }) => [
            cacheStatus,
            headers["cache-control"]
          ]))
      expect(yield* told("own")).toEqual(users.map(() => ["fwd=uri-miss", "private"]))
      expect((yield* told("shared")).map(([cacheStatus]) => cacheStatus)).toEqual(
        users.map((_, at) => at === 0 ? "fwd=uri-miss; stored" : "hit; ttl=60")
      )
    }).pipe(Effect.provide(Services))
)
