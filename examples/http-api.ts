/**
 * `HttpApi` with its security, and the cache inside of it.
 *
 * A cache answers without running what is inside of it, so that authentication must be outside. The security of an endpoint
 * runs around its handler, and `HttpApiCache.cached` puts the cache between the two, where an annotation wants one.
 */
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity
} from "@effect/platform"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { HttpApiCache } from "effect-http-cache"

class Unauthorized extends Schema.TaggedError<Unauthorized>()(
  "Unauthorized",
  {},
  HttpApiSchema.annotations({ status: 401 })
) {}

class Account extends Context.Tag("Account")<Account, { readonly name: string }>() {}

class ApiKey extends HttpApiMiddleware.Tag<ApiKey>()("ApiKey", {
  failure: Unauthorized,
  provides: Account,
  security: { apiKey: HttpApiSecurity.apiKey({ in: "header", key: "x-api-key" }) }
}) {}

const accounts = new Map([["key-of-ada", { name: "Ada" }], ["key-of-alan", { name: "Alan" }]])

const ApiKeyLive = Layer.succeed(ApiKey, {
  apiKey: (key) => Effect.mapError(Effect.fromNullable(accounts.get(Redacted.value(key))), () => new Unauthorized())
})

const reports = HttpApiGroup.make("reports")
  .add(HttpApiEndpoint.get("prices", "/prices").addSuccess(Schema.Struct({ run: Schema.Number })))
  .add(HttpApiEndpoint.get("mine", "/mine").addSuccess(Schema.Struct({ name: Schema.String, run: Schema.Number })))
  .add(HttpApiEndpoint.post("reprice", "/prices").annotate(HttpApiCache.Collects, true))
  .middleware(ApiKey)
  .annotate(HttpApiCache.Policy, { expiry: 60 })

const api = HttpApi.make("reports").add(reports).pipe(HttpApiCache.openApi)

let runs = 0

const account = Effect.map(Account, ({ name }) => name)

const ReportsLive = HttpApiBuilder.group(api, "reports", (handlers) =>
  handlers
    .handle("prices", () => Effect.sync(() => ({ run: ++runs })))
    .handle("reprice", () => Effect.void)
    // The same for all who may see it.
    .pipe(HttpApiCache.cached(api))
    .handle("mine", () => Effect.map(account, (name) => ({ name, run: ++runs })))
    // A copy for each account.
    .pipe(HttpApiCache.cached(api, { partition: account })))

/** `HttpApiBuilder.serve()` and a storage make a server of it. */
export const ApiLive = HttpApiBuilder.api(api).pipe(Layer.provide(ReportsLive), Layer.provide(ApiKeyLive))
