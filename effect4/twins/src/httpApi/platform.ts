/** The twin of `src/httpApi/platform.ts` for Effect 4. */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ErrorReporter from "effect/ErrorReporter"
import { identity } from "effect/Function"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import { HttpApiSchemaError } from "effect/http-api/HttpApiError"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import type * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { catchCause } from "../runtime/effect.js"

export type AnyApi = HttpApi.Constraint

export type Api = HttpApi.Top

export type Group = HttpApiGroup.Top

export type Endpoint = HttpApiEndpoint.Top

export interface Located {
  readonly api: Api
  readonly group: Group
  readonly endpoint: Endpoint
}

export type Given = { readonly request: HttpServerRequest }

export interface Item {
  readonly endpoint: Endpoint
  readonly handler: (given: Given) => Effect.Effect<unknown, unknown, unknown>
  readonly uninterruptible: boolean
}

export interface AnyHandlers {
  readonly "~EndpointsByIdentifier": object
  readonly "~HandledIdentifiers": PropertyKey
}

export type Requiring<Handlers extends AnyHandlers, More> = Handlers extends
  HttpApiBuilder.Handlers<infer R, infer ByIdentifier, infer Handled>
  ? HttpApiBuilder.Handlers<R | More, ByIdentifier, Handled>
  : never

/** What a handler asks for may come with each request, and the storages come with the layer of the group. */
export type Asked<R> = HttpRouter.Request.From<"Requires", R>

export type Provided<Of extends AnyApi> = Of extends HttpApi.HttpApi<infer _Id, infer Groups>
  ? HttpRouter.Provided | HttpApiEndpoint.MiddlewareProvides<HttpApiGroup.Endpoints<Groups>>
  : never

interface Built {
  readonly group: Group
  readonly handlers: ReadonlyMap<string, Item>
}

/** Their types don't say what handlers have. */
const isBuilt = (handlers: object): handlers is Built =>
  "group" in handlers && "handlers" in handlers && handlers.handlers instanceof Map

const assertBuilt = (handlers: object): Built => {
  if (isBuilt(handlers)) return handlers
  throw new TypeError(
    "HttpApiCache.cached: these are no handlers of HttpApiBuilder.group as they are known; pipe what handle answers through it"
  )
}

export const builtOf = (handlers: AnyHandlers): { readonly group: Group; readonly items: ReadonlyArray<Item> } => {
  const { group, handlers: items } = assertBuilt(handlers)
  return { group, items: [...items.values()] }
}

export const withItems = (handlers: AnyHandlers, items: ReadonlyArray<Item>): object =>
  Object.assign(Object.create(Object.getPrototypeOf(handlers) as object), {
    group: builtOf(handlers).group,
    handlers: new Map(items.map((item) => [item.endpoint.identifier, item]))
  })

export const nameOf = ({ identifier }: Endpoint): string => identifier

/** What switches to another protocol has no response that a cache could keep. */
export const kindOf = ({ method, success }: Endpoint): string =>
  [...success].some((schema) => "~effect/http-api/HttpApiSchema/Upgrade" in schema) ? `${method} that upgrades` : method

/** An endpoint has the middlewares of its group and its api too. */
const middlewaresOf = ({ middlewares }: Endpoint): ReadonlyArray<HttpApiMiddleware.AnyService> =>
  // Their type says only that they are keys.
  Array.from(middlewares as ReadonlySet<HttpApiMiddleware.AnyService>)

const securityOf = ({ endpoint }: Located): ReadonlyArray<HttpApiMiddleware.AnyServiceSecurity> =>
  middlewaresOf(endpoint).filter(HttpApiMiddleware.isSecurity)

export const hasSecurity = (located: Located): boolean => securityOf(located).length > 0

export const credentialsOf = (located: Located): ReadonlyArray<"authorization" | "cookie"> =>
  securityOf(located).flatMap(({ security }) => Object.values(security)).flatMap((each) =>
    each._tag !== "ApiKey" ? ["authorization"] : each.in === "cookie" ? ["cookie"] : []
  )

export const searchOf = ({ payload, query }: Endpoint): ReadonlyArray<AST.AST> =>
  [...query === undefined ? [] : [query], ...[...payload.values()].flatMap(({ schemas }) => [...schemas])].map((
    { ast }
  ) => AST.toEncoded(ast))

export const fieldsOf = ({ headers }: Endpoint): AST.AST | undefined =>
  headers === undefined ? undefined : AST.toEncoded(headers.ast)

export type Refused = HttpApiSchemaError

/** A schema that refuses something says so itself. */
export const refusing: <A, E, R>(effect: Effect.Effect<A, E | Refused, R>) => Effect.Effect<A, E | Refused, R> =
  identity

export const showing = ({ api, endpoint, group }: Located) => {
  const annotations = Context.merge(Context.merge(api.annotations, group.annotations), endpoint.annotations)
  const options = Context.getOrUndefined(annotations, HttpApi.HeadersParseOptions) ??
    Context.getOrUndefined(annotations, HttpApi.ParseOptions)
  // What a schema needs is in the context of the request.
  const decode = endpoint.headers === undefined
    ? undefined
    : Schema.decodeUnknownEffect(endpoint.headers as Schema.Codec<unknown, unknown>, options)
  return (given: Given, request: HttpServerRequest): Effect.Effect<Given, Refused> =>
    decode === undefined
      ? Effect.succeed({ ...given, request })
      : Effect.map(
        HttpApiSchemaError.wrap("Headers", decode(request.headers)),
        (headers) => ({ ...given, request, headers })
      )
}

type Response = HttpServerResponse.HttpServerResponse

export const isResponse = HttpServerResponse.isHttpServerResponse

class Outcome extends Context.Service<Outcome, Effect.Effect<unknown, unknown>>()(
  "effect-http-cache/HttpApiCache/Outcome"
) {}

type Respond = (outcome: Effect.Effect<unknown, unknown>) => Effect.Effect<Response>

/**
 * Has the platform make the response, as of an endpoint that answers and fails the same, and takes nothing. What its middlewares
 * do is left out, and what they fail with is declared.
 */
const responding = ({ api, endpoint, group }: Located): Respond => {
  const middlewares = middlewaresOf(endpoint).map(({ error, key }) => ({ error, key }))
  const none = { params: undefined, query: undefined, headers: undefined, payload: new Map() }
  const alone: Endpoint = Object.assign(Object.create(endpoint), none, { middlewares: new Set(middlewares) })
  const endpoints = { [endpoint.identifier]: alone }
  const groups = { [group.identifier]: Object.assign(Object.create(group), { endpoints }) as Group }
  const of: Api = Object.assign(Object.create(api), { groups })
  // What the handler and its schemas need is in the context of the request.
  const made = HttpApiBuilder.endpoint(
    of,
    group.identifier,
    endpoint.identifier,
    () => Effect.flatten(Outcome) as never
  )
  const around = Context.makeUnsafe<unknown>(new Map(middlewares.map(({ key }) => [key, identity])))
  const respond = Effect.runSync(Effect.provideContext(made as Effect.Effect<Effect.Effect<Response>>, around))
  return (outcome) =>
    respond.pipe(
      Effect.provideService(Outcome, outcome),
      // The platform reports an error further outside.
      Effect.provideService(ErrorReporter.CurrentErrorReporters, new Set<ErrorReporter.ErrorReporter>())
    )
}

const known = new WeakMap<Located, Respond>()

const respondingAt = (located: Located): Respond => {
  const respond = known.get(located) ?? responding(located)
  known.set(located, respond)
  return respond
}

export const successOf = (located: Located) => (value: unknown): Effect.Effect<Response> =>
  respondingAt(located)(Effect.succeed(value))

export const isError = ({ reasons }: Cause.Cause<unknown>): boolean =>
  reasons.length === 1 && reasons[0]!._tag === "Fail"

export type Errors = (cause: Cause.Cause<unknown>, located: Located) => Effect.Effect<Response | undefined>

/** The platform asks the errors of an endpoint for its own. */
export const errorsOf = (_: Api): Errors => (cause, located) =>
  isError(cause)
    ? catchCause(respondingAt(located)(Effect.failCause(cause)), () => Effect.succeed(undefined))
    : Effect.succeed(undefined)
