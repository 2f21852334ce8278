/** What an endpoint of an `HttpApi` answers or fails with, as the platform's own schemas make a response of it. */
import type * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"

type Response = HttpServerResponse.HttpServerResponse

const isResponse = Schema.declare(HttpServerResponse.isServerResponse)

const responseOf = (ast: AST.AST, status: number, data: unknown): Effect.Effect<Response, ParseResult.ParseIssue> => {
  if (HttpApiSchema.isVoid(ast)) return Effect.succeed(HttpServerResponse.empty({ status }))
  const { contentType, kind } = HttpApiSchema.getEncoding(ast)
  switch (kind) {
    case "Json":
      return Effect.mapError(
        HttpServerResponse.json(data, { status, contentType }),
        (error) => new ParseResult.Type(ast, error, "Could not encode to JSON")
      )
    case "Text":
      return Effect.succeed(HttpServerResponse.text(data as string, { status, contentType }))
    case "Uint8Array":
      return Effect.succeed(HttpServerResponse.uint8Array(data as Uint8Array, { status, contentType }))
    case "UrlParams":
      return Effect.succeed(HttpServerResponse.urlParams(data as never, { status, contentType }))
  }
}

type Encode = (value: unknown) => Effect.Effect<Response, ParseResult.ParseError>

/** The first schema that a value is of says how it is answered, in the platform's order. What schemas need is in the context. */
const encoderOf = (given: Iterable<Schema.Schema.Any>, statusOf: (ast: AST.AST) => number): Encode => {
  const schemas = new Set<Schema.Schema.Any>()
  for (const schema of given) HttpApiSchema.deunionize(schemas, schema)
  const responses = Array.from(schemas, (schema) =>
    Schema.transformOrFail(isResponse, schema, {
      decode: (_, __, ast) => ParseResult.fail(new ParseResult.Forbidden(ast, _, "Encode only schema")),
      encode: (data, _, ast) => responseOf(ast.to, statusOf(ast.to), data)
    }))
  return Schema.encodeUnknown(Schema.Union(...responses) as Schema.Schema<unknown, Response>)
}

/** Makes the response of what an endpoint succeeds with. */
export const successOf = ({ successSchema }: HttpApiEndpoint.HttpApiEndpoint.AnyWithProps): Encode =>
  encoderOf([successSchema], HttpApiSchema.getStatusSuccessAST)

export type Errors = (cause: Cause.Cause<unknown>) => Effect.Effect<Response | undefined>

/**
 * Makes the response of a failure, as the platform does further outside: it asks the errors of all endpoints, whichever the
 * failure is of. `undefined`: it is none of the errors that the api declares.
 */
export const errorsOf = (api: HttpApi.HttpApi.AnyWithProps): Errors => {
  const groups = Object.values(api.groups)
  const encode = encoderOf(
    [
      api.errorSchema,
      ...groups.flatMap(({ endpoints, errorSchema }) => [
        ...Object.values(endpoints).map((endpoint) => endpoint.errorSchema as Schema.Schema.Any),
        errorSchema
      ])
    ],
    HttpApiSchema.getStatusErrorAST
  )
  return (cause) => Effect.catchAllCause(encode(Cause.squash(cause)), () => Effect.succeed(undefined))
}
