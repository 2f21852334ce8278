/** Security of an `HttpApi`: the token of a bearer names a customer. */
import { HttpApiMiddleware, HttpApiSchema, HttpApiSecurity } from "@effect/platform"
import { Context, Effect, Layer, Redacted, Schema } from "effect"

class Unauthorized extends Schema.TaggedError<Unauthorized>()(
  "Unauthorized",
  {},
  HttpApiSchema.annotations({ status: 401 })
) {}

export class Customer extends Context.Tag("Customer")<Customer, string>() {}

export class Bearer extends HttpApiMiddleware.Tag<Bearer>()("Bearer", {
  failure: Unauthorized,
  provides: Customer,
  security: { bearer: HttpApiSecurity.bearer }
}) {}

/** The customer of a token. */
const nameIn = (token: Redacted.Redacted): string | undefined => /^token-of-(\w+)$/.exec(Redacted.value(token))?.[1]

export const BearerLive = Layer.succeed(Bearer, {
  bearer: (token) => {
    const name = nameIn(token)
    return name === undefined ? new Unauthorized() : Effect.succeed(name)
  }
})
