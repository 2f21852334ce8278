/** The twin of `test/bearer.ts` for Effect 4. */
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"

class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {}, { httpApiStatus: 401 }) {}

export class Customer extends Context.Service<Customer, string>()("Customer") {}

export class Bearer extends HttpApiMiddleware.Service<Bearer, { provides: Customer }>()("Bearer", {
  error: Unauthorized,
  security: { bearer: HttpApiSecurity.bearer }
}) {}

const nameIn = (token: Redacted.Redacted): string | undefined => /^token-of-(\w+)$/.exec(Redacted.value(token))?.[1]

export const BearerLive = Layer.succeed(Bearer, {
  bearer: (endpoint, { credential }) => {
    const name = nameIn(credential)
    return name === undefined ? new Unauthorized() : Effect.provideService(endpoint, Customer, name)
  }
})
