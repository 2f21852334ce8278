/**
 * What differs between an `HttpApi` of Effect 3 and one of Effect 4 and is more than a name: what its parts have, and how the
 * platform's own schemas make a response of what an endpoint answers or fails with.
 */
import type * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import type * as HttpRouter from "@effect/platform/HttpRouter"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"

export type AnyApi = HttpApi.HttpApi.Any

export type Api = HttpApi.HttpApi.AnyWithProps

export type Group = HttpApiGroup.HttpApiGroup.AnyWithProps

export type Endpoint = HttpApiEndpoint.HttpApiEndpoint.AnyWithProps

/** An endpoint, and the group of the api that it is in. */
export interface Located {
  readonly api: Api
  readonly group: Group
  readonly endpoint: Endpoint
}

/** What the platform has made of the request, and the request itself. */
export type Given = { readonly request: HttpServerRequest }

/** The handler of an endpoint. */
export interface Item {
  readonly endpoint: Endpoint
  readonly handler: (given: Given) => Effect.Effect<unknown, unknown, unknown>
  readonly uninterruptible: boolean
}

export type AnyHandlers = HttpApiBuilder.Handlers.Any

/** Handlers that require more. */
export type Requiring<Handlers extends AnyHandlers, More> = Handlers extends
  HttpApiBuilder.Handlers<infer E, infer Provides, infer R, infer Endpoints>
  ? HttpApiBuilder.Handlers<E, Provides, R | More, Endpoints>
  : never

/** What a handler asks for, as the layer of its group requires it. */
export type Asked<R> = R

/** What the platform and the security of some endpoint of an api provide. */
export type Provided<Of extends AnyApi> = Of extends HttpApi.HttpApi<infer _Id, infer Groups, infer _E, infer R> ?
    | HttpRouter.HttpRouter.Provided
    | HttpRouter.HttpRouter.DefaultServices
    | HttpApiMiddleware.HttpApiMiddleware.ExtractProvides<
      R | HttpApiGroup.HttpApiGroup.Middleware<Groups> | ContextOf<Groups>
    >
  : never

type ContextOf<Groups extends HttpApiGroup.HttpApiGroup.Any> = HttpApiEndpoint.HttpApiEndpoint.Context<
  HttpApiGroup.HttpApiGroup.Endpoints<Groups>
>

interface Built {
  readonly group: Group
  readonly handlers: Chunk.Chunk<Item>
}

/** The group and the handlers that were added until now. What is public of handlers is not in their widest type. */
export const builtOf = (handlers: AnyHandlers): { readonly group: Group; readonly items: ReadonlyArray<Item> } => {
  const { group, handlers: items } = handlers as unknown as Built
  return { group, items: Chunk.toReadonlyArray(items) }
}

/** The same handlers, but for these in place of what they are. */
export const withItems = (handlers: AnyHandlers, items: ReadonlyArray<Item>): object =>
  Object.assign(Object.create(Object.getPrototypeOf(handlers) as object), {
    group: builtOf(handlers).group,
    handlers: Chunk.fromIterable(items)
  })

export const nameOf = ({ name }: Endpoint): string => name

/** What an endpoint is, as an error names it: its method. */
export const kindOf = ({ method }: Endpoint): string => method

const securityOf = ({ api, endpoint, group }: Located): ReadonlyArray<HttpApiMiddleware.TagClassSecurityAny> =>
  [api, group, endpoint].flatMap(({ middlewares }) => [...middlewares].filter(HttpApiMiddleware.isSecurity))

export const hasSecurity = (located: Located): boolean => securityOf(located).length > 0

/** The request fields that say who is asking, of those that the security of an endpoint reads. */
export const credentialsOf = (located: Located): ReadonlyArray<"authorization" | "cookie"> =>
  securityOf(located).flatMap(({ security }) => Object.values(security)).flatMap((each) =>
    each._tag !== "ApiKey" ? ["authorization"] : each.in === "cookie" ? ["cookie"] : []
  )

/** Of what search parameters are, each as it is on the wire; the payload of a `GET` is made of them too. */
export const searchOf = ({ payloadSchema, urlParamsSchema }: Endpoint): ReadonlyArray<AST.AST> =>
  [urlParamsSchema, payloadSchema].filter(Option.isSome).map(({ value }) => AST.encodedAST(value.ast))

/** What request fields are on the wire; `undefined`: an endpoint declares none. */
export const fieldsOf = ({ headersSchema }: Endpoint): AST.AST | undefined =>
  Option.getOrUndefined(Option.map(headersSchema, ({ ast }) => AST.encodedAST(ast)))

/** What a request or an answer fails with that is not as it was declared. */
export type Refused = HttpApiDecodeError

/** Fails so where a schema has refused something. */
export const refusing = <A, E, R>(
  effect: Effect.Effect<A, E | ParseResult.ParseError, R>
): Effect.Effect<A, E | Refused, R> =>
  Effect.catchAll(
    effect,
    (error): Effect.Effect<never, E | Refused> =>
      ParseResult.isParseError(error) ? HttpApiDecodeError.refailParseError(error) : Effect.fail(error)
  )

/** What an endpoint declares of the fields of this request, in place of those that the platform has made before. */
export const showing = ({ endpoint }: Located) => {
  // What a schema needs is in the context of the request.
  const fields = Option.map(
    endpoint.headersSchema,
    (schema) => Schema.decodeUnknown(schema as Schema.Schema<unknown, unknown>)
  )
  return (given: Given, request: HttpServerRequest): Effect.Effect<Given, ParseResult.ParseError> =>
    Option.match(fields, {
      onNone: () => Effect.succeed({ ...given, request }),
      onSome: (decode) => Effect.map(decode(request.headers), (headers) => ({ ...given, request, headers }))
    })
}

type Response = HttpServerResponse.HttpServerResponse

export const isResponse = HttpServerResponse.isServerResponse

const AsResponse = Schema.declare(isResponse)

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
    Schema.transformOrFail(AsResponse, schema, {
      decode: (_, __, ast) => ParseResult.fail(new ParseResult.Forbidden(ast, _, "Encode only schema")),
      encode: (data, _, ast) => responseOf(ast.to, statusOf(ast.to), data)
    }))
  return Schema.encodeUnknown(Schema.Union(...responses) as Schema.Schema<unknown, Response>)
}

/** Makes the response of what an endpoint succeeds with. */
export const successOf = ({ endpoint }: Located): Encode =>
  encoderOf([endpoint.successSchema], HttpApiSchema.getStatusSuccessAST)

/** Whether it is nothing but an error, which may be `undefined`. */
export const isError = (cause: Cause.Cause<unknown>): boolean => Cause.isFailType(cause)

export type Errors = (cause: Cause.Cause<unknown>, located: Located) => Effect.Effect<Response | undefined>

/**
 * Makes the response of a failure, as the platform does further outside: it asks the errors of all endpoints, whichever the
 * failure is of. `undefined`: it is none of the errors that the api declares.
 */
export const errorsOf = ({ errorSchema, groups }: Api): Errors => {
  const encode = encoderOf(
    [
      errorSchema,
      ...Object.values(groups).flatMap(({ endpoints, errorSchema }) => [
        ...Object.values(endpoints).map((endpoint) => endpoint.errorSchema as Schema.Schema.Any),
        errorSchema
      ])
    ],
    HttpApiSchema.getStatusErrorAST
  )
  return (cause) => Effect.catchAllCause(encode(Cause.squash(cause)), () => Effect.succeed(undefined))
}
