/**
 * `HttpApi` with its security, and the cache inside of it.
 *
 * A cache answers without running what is inside of it, so that authentication must be outside. The security of an
 * endpoint runs around its handler: `handleRaw` and `withCache` put the cache within. `HttpCache.make` around the whole
 * api would be outside, and is only for an api that everybody may read.
 */
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSecurity
} from "effect/http-api"
import { HttpServerResponse } from "effect/http"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { withCache } from "effect-http-cache"

class Unauthorized extends Schema.TaggedError<Unauthorized>()(
  "Unauthorized",
  {},
  { httpApiStatus: 401 }
) {}

class Account extends Context.Service<Account, { readonly name: string }>()("Account") {}

class ApiKey extends HttpApiMiddleware.Service<ApiKey, { provides: Account }>()("ApiKey", {
  error: Unauthorized,
  security: { apiKey: HttpApiSecurity.apiKey({ in: "header", key: "x-api-key" }) }
}) {}

const accounts = new Map([["key-of-ada", { name: "Ada" }], ["key-of-alan", { name: "Alan" }]])

const ApiKeyLive = Layer.succeed(ApiKey, {
  apiKey: (endpoint, { credential }) => {
    const account = accounts.get(Redacted.value(credential))
    return account === undefined ? new Unauthorized() : Effect.provideService(endpoint, Account, account)
  }
})

const api = HttpApi.make("reports").add(
  HttpApiGroup.make("reports")
    .add(HttpApiEndpoint.get("prices", "/prices", { success: Schema.Struct({ run: Schema.Number }) }))
    .add(HttpApiEndpoint.get("mine", "/mine", { success: Schema.Struct({ name: Schema.String, run: Schema.Number }) }))
    .middleware(ApiKey)
)

let runs = 0

/** The same for all who may see it. */
const prices = Effect.suspend(() => HttpServerResponse.json({ run: ++runs }))

/** A copy for each account. */
const mine = Effect.flatMap(Account, ({ name }) => HttpServerResponse.json({ name, run: ++runs }))
const account = Effect.map(Account, ({ name }) => name)

const ReportsLive = HttpApiBuilder.group(api, "reports", (handlers) =>
  handlers
    .handleRaw("prices", () => Effect.orDie(prices).pipe(withCache({ expiry: 60 })))
    .handleRaw("mine", () => Effect.orDie(mine).pipe(withCache({ expiry: 60, partition: account }))))

/** `HttpApiBuilder.serve()` and a storage make a server of it. */
export const ApiLive = HttpApiBuilder.layer(api).pipe(Layer.provide(ReportsLive), Layer.provide(ApiKeyLive))
