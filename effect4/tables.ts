/** What is named otherwise in Effect 4. An entry that matches nothing is an error, so that the tables stay true. */

export interface Lookup {
  readonly [name: string]: string
}

const http = [
  "HttpClient",
  "HttpClientError",
  "HttpClientRequest",
  "HttpClientResponse",
  "Cookies",
  "Headers",
  "HttpBody",
  "HttpRouter",
  "HttpServerError",
  "HttpServerRequest",
  "HttpServerRespondable",
  "HttpServerResponse",
  "HttpTraceContext",
  "UrlParams"
]

const api = [
  "HttpApi",
  "HttpApiBuilder",
  "HttpApiClient",
  "HttpApiEndpoint",
  "HttpApiError",
  "HttpApiGroup",
  "HttpApiMiddleware",
  "HttpApiSchema",
  "HttpApiSecurity",
  "OpenApi"
]

/** Where modules are. */
export const modules: Lookup = {
  ...Object.fromEntries(http.map((name) => [`@effect/platform/${name}`, `effect/http/${name}`])),
  "@effect/platform": "effect/http",
  "@effect/platform/OpenApi": "effect/http-api/OpenApi",
  ...Object.fromEntries(
    ["SqlClient", "SqlConnection", "SqlError"].map((name) => [`@effect/sql/${name}`, `effect/sql/${name}`])
  ),
  "@effect/sql": "effect/sql",
  "effect/ConfigError": "effect/Config",
  "@effect/platform/HttpLayerRouter": "effect/http/HttpRouter"
}

/** Modules of another name. */
export const names: Lookup = {
  HttpApp: "HttpEffect",
  HttpLayerRouter: "HttpRouter"
}

/** Modules of a barrel, `effect` or `@effect/platform`, that are in another one. */
export const placesOfNames: Lookup = {
  ...Object.fromEntries(api.map((name) => [name, "effect/http-api"])),
  TestClock: "effect/testing"
}

/** What modules have, as `Module.member`; of another module where the new name has a dot; `*` is any value. */
export const members: Lookup = {
  "Cause.isDie": "hasDies",
  "Config.duration": "Duration",
  "Config.number": "Number",
  "Config.port": "Port",
  "Config.redacted": "Redacted",
  "Config.string": "String",
  "Context.Tag": "Service",
  "Context.unsafeGet": "getUnsafe",
  "Cookies.unsafeMakeCookie": "makeCookieUnsafe",
  "Duration.DurationInput": "Input",
  "Duration.decodeUnknown": "fromInput",
  "Effect.async": "callback",
  "Effect.catchAll": "catch",
  "Effect.catchAllCause": "catchCause",
  "Effect.catchAllDefect": "catchDefect",
  "Effect.contextWithEffect": "contextWith",
  "Effect.fork": "forkChild",
  "Effect.yieldNow()": "yieldNow",
  "Effect.zipLeft": "tap",
  "Effect.zipRight": "andThen",
  "Effect.mapInputContext": "updateContext",
  "Headers.unsafeFromRecord": "fromRecordUnsafe",
  "HttpServerResponse.unsafeJson": "jsonUnsafe",
  "HttpServerResponse.unsafeSetCookie": "setCookieUnsafe",
  "Fiber.RuntimeFiber": "Fiber",
  "HttpApiBuilder.api": "layer",
  "HttpApiEndpoint.del": "delete",
  "HttpApiGroup.ApiGroup": "Service",
  "HttpApiMiddleware.Tag": "Service",
  "NodeHttpClient.layer": "layerNodeHttp",
  "NodeHttpServer.layerContext": "layerHttpServices",
  "SchemaAST.isTypeLiteral": "isObjects",
  "Stream.catchAll": "catch",
  "Stream.repeatEffect": "fromEffectRepeat",
  "Stream.unwrapScoped": "unwrap",
  "Layer.unwrapEffect": "unwrap",
  "Layer.scoped": "effect",
  "Layer.scopedContext": "effectContext",
  "Layer.scopedDiscard": "effectDiscard",
  "Schema.typeSchema": "toType",
  "Scope.extend": "provide",
  "it.scoped": "effect",
  "it.scopedLive": "live"
}

/** What is no renaming, outside of `protocol` and `engine`: passages that stand once in their file. */
export const passages: ReadonlyArray<{ readonly file: string; readonly from: string; readonly to: string }> = [
  {
    file: "README.md",
    from:
      "This page speaks of Effect 3, which is version 1 of this package. Version 2 is the same library for Effect 4",
    to:
      "This page speaks of Effect 3, which is version 1 of this package. You have version 2, the same library for Effect 4"
  },
  {
    // What is there already is waited for in no step of its own: the next run would end before anybody could join it.
    file: "test/Crowds.test.ts",
    from: `        yield* Deferred.await(gate)
        yield* check`,
    to: `        yield* Deferred.await(gate)
        yield* Effect.yieldNow()
        yield* check`
  },
  {
    // The TestClock is moved by so much in five seconds of the machine's.
    file: "test/waiters.test.ts",
    from: "deadline: \"1 day\"",
    to: "deadline: \"10000 days\""
  },
  {
    file: "src/RedisCacheStorage.ts",
    from: "Config.Config.Wrap<ConnectionOptions>",
    to: "Config.Wrap<ConnectionOptions>"
  },
  {
    file: "test/redisConnect.test.ts",
    from: "Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(environment))))",
    to: "Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment)))"
  },
  {
    file: "test/Stale.test.ts",
    from: "Schema.TaggedError<Gone>()(\"Gone\", {}, HttpApiSchema.annotations({ status: 410 }))",
    to: "Schema.TaggedError<Gone>()(\"Gone\", {}, { httpApiStatus: 410 })"
  },
  {
    file: "test/Streams.test.ts",
    from: "NodeStream.fromReadable(() => Readable.from([Buffer.from(\"content\")]), (e) => e)",
    to: "NodeStream.fromReadable({ evaluate: () => Readable.from([Buffer.from(\"content\")]), onError: (e) => e })"
  },
  { file: "examples/http-api.ts", from: "  HttpApiSchema,\n", to: "" },
  {
    file: "examples/http-api.ts",
    from: `class ApiKey extends HttpApiMiddleware.Tag<ApiKey>()("ApiKey", {
  failure: Unauthorized,
  provides: Account,
`,
    to: `class ApiKey extends HttpApiMiddleware.Tag<ApiKey, { provides: Account }>()("ApiKey", {
  error: Unauthorized,
`
  },
  {
    file: "examples/http-api.ts",
    from:
      `  apiKey: (key) => Effect.mapError(Effect.fromNullable(accounts.get(Redacted.value(key))), () => new Unauthorized())
`,
    to: `  apiKey: (endpoint, { credential }) => {
    const account = accounts.get(Redacted.value(credential))
    return account === undefined ? new Unauthorized() : Effect.provideService(endpoint, Account, account)
  }
`
  },
  {
    file: "examples/quickstart.ts",
    from: "inspected(router)",
    to: "inspected(yield* HttpRouter.toHttpEffect(router))"
  },
  {
    file: "examples/reverse-proxy.ts",
    from: `  origin: Config.url("ORIGIN").pipe(
    Config.validate({
      message: "expected http:// or https://, a host, and no path",
      validation: ({ href, origin, protocol }) => /^https?:$/.test(protocol) && href === \`\${origin}/\`
    })
  ),
  port: Config.port("PORT").pipe(Config.withDefault(8080)),
  cookies: Config.literal("refuse", "strip", "store")("COOKIES").pipe(Config.withDefault("refuse" as const)),
  targets: Config.array(Config.string(), "TARGETS").pipe(Config.withDefault(["CDN-Cache-Control"])),
  lane: Config.boolean("LANE").pipe(Config.withDefault(false)),
  staleIfError: Config.duration("STALE_IF_ERROR").pipe(Config.withDefault("1 day" as const))
`,
    to: `  origin: Config.schema(
    Schema.URLFromString.check(Schema.makeFilter(({ href, origin, protocol }: URL) =>
      /^https?:$/.test(protocol) && href === \`\${origin}/\` || "expected http:// or https://, a host, and no path"
    )),
    "ORIGIN"
  ),
  port: Config.Port("PORT").pipe(Config.withDefault(8080)),
  cookies: Config.Literals(["refuse", "strip", "store"], "COOKIES").pipe(Config.withDefault("refuse" as const)),
  targets: Config.Array(Schema.String, "TARGETS").pipe(Config.withDefault(["CDN-Cache-Control"])),
  lane: Config.Boolean("LANE").pipe(Config.withDefault(false)),
  staleIfError: Config.Duration("STALE_IF_ERROR").pipe(Config.withDefault("1 day" as const))
`
  },
  {
    file: "examples/reverse-proxy.ts",
    from: "import { Config, Console, Effect, Layer }",
    to: "import { Config, Console, Effect, Layer, Schema }"
  },
  {
    file: "examples/reverse-proxy/forward.ts",
    from: "NodeStream.fromReadable(() => response, (error) => error)",
    to: "NodeStream.fromReadable({ evaluate: () => response, onError: (error) => error })"
  },
  {
    file: "test/httpApiClient.test.ts",
    from: "product({ path: { id: 1 } })",
    to: "product({ params: { id: 1 } })"
  },
  {
    file: "test/httpApiClient.test.ts",
    from: "rename({ path: { id: 1 }, payload",
    to: "rename({ params: { id: 1 }, payload"
  },
  {
    file: "test/httpApiEndpoints.test.ts",
    from: "HttpApiSchema.withEncoding({ kind: \"UrlParams\" })",
    to: "HttpApiSchema.asFormUrlEncoded()"
  },
  {
    file: "test/httpApiEndpoints.test.ts",
    from: `Schema.Struct({ page: Schema.propertySignature(Schema.NumberFromString).pipe(Schema.fromKey("p")) })
  .pipe(Schema.filter(({ page }) => page > 0))`,
    to: `Schema.Struct({ page: Schema.NumberFromString }).check(Schema.makeFilter(({ page }) => page > 0))
  .pipe(Schema.encodeKeys({ page: "p" }))`
  },
  {
    file: "test/httpApiEndpoints.test.ts",
    from: `  language: Schema.optionalWith(Schema.String, { default: () => "en" }).pipe(Schema.fromKey("x-language"))
})`,
    to: `  language: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("en")))
}).pipe(Schema.encodeKeys({ language: "x-language" }))`
  },
  {
    // Effect 4 answers 200 for what is void, 500 where an answer is wrong, and takes no defect for an error.
    file: "test/httpApiEndpoints.test.ts",
    from: "[200, 200, 200, 200, 204, 203, 203, 203, 400, 410, 409, 410, 500, 200]",
    to: "[200, 200, 200, 200, 200, 203, 203, 203, 500, 410, 409, 500, 500, 200]"
  },
  { file: "test/httpApiEndpoints.test.ts", from: "urlParams: { page: 2 }", to: "query: { page: 2 }" },
  {
    // In Effect 4 a security or a middleware of an api is one of its endpoints.
    file: "test/HttpApiCache.test-d.ts",
    from: "expectTypeOf(atApi).toEqualTypeOf<Layer.Layer<Group, never, Storages>>()",
    to: "expectTypeOf(atApi).toEqualTypeOf<Layer.Layer<Group, never, Bearer | Storages>>()"
  },
  {
    file: "src/httpApi/declared.ts",
    from: "namesOf(ast.f())",
    to: "namesOf(ast.thunk())"
  },
  // What a request says of itself is read of fewer fields there, and a schema keeps no properties that it does not name.
  {
    file: "test/reads.test.ts",
    from: "[\"toURL\", looking(HttpServerRequest.toURL), stored, \"x-forwarded-proto\"]",
    to: "[\"toURL\", looking(HttpServerRequest.toURL), stored, undefined]"
  },
  {
    file: "test/reads.test.ts",
    from: "[\"JSON.stringify of the request\", looking((r) => JSON.stringify(r)), refused, \"content-type\"]",
    to: "[\"JSON.stringify of the request\", looking((r) => JSON.stringify(r)), refused, undefined]"
  },
  {
    file: "test/reads.test.ts",
    from: "[\"a log\", looking((r) => Inspectable.toStringUnknown(r)), refused, \"content-type\"]",
    to: "[\"a log\", looking((r) => Inspectable.toStringUnknown(r)), refused, undefined]"
  },
  {
    file: "test/reads.test.ts",
    from: "[\"toWeb\", reading((r) => HttpServerRequest.toWeb(r)), refused, \"x-forwarded-proto\"]",
    to: "[\"toWeb\", reading((r) => HttpServerRequest.toWeb(r)), refused, undefined]"
  },
  {
    file: "test/reads.test.ts",
    from: `      Effect.orDie(HttpApp.fromWebHandler(async () => new Response("x"))),
      refused,
      "x-forwarded-proto"
`,
    to: `      Effect.orDie(HttpApp.fromWebHandler(async () => new Response("x"))),
      refused,
      undefined
`
  },
  {
    file: "test/reads.test.ts",
    from: `    [
      "excess properties",
      reading(() =>
        HttpServerRequest.schemaHeaders(Schema.Struct({ "x-a": Optional }), { onExcessProperty: "preserve" })
      ),
      refused,
      undefined
    ],
`,
    to: ""
  },
  {
    file: "src/CacheItem.ts",
    from: "const FieldValue = Schema.String.pipe(Schema.filter(Fields.isValue))",
    to: "const FieldValue = Schema.String.check(Schema.makeFilter(Fields.isValue))"
  },
  {
    file: "src/CacheItem.ts",
    from: `Schema.Record({ key: Schema.String, value: FieldValue }).pipe(
  Schema.filter((headers) =>`,
    to: `Schema.Record(Schema.String, FieldValue).check(
  Schema.makeFilter((headers: { readonly [name: string]: string }) =>`
  },
  {
    file: "src/CacheItem.ts",
    from: "Schema.JsonNumber.pipe(Schema.greaterThanOrEqualTo(0))",
    to: "Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))"
  },
  { file: "src/CacheItem.ts", from: "Schema.NonNegativeInt", to: "Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))" },
  { file: "src/CacheItem.ts", from: "const Time = Schema.JsonNumber", to: "const Time = Schema.Finite" },
  {
    file: "src/CacheItem.ts",
    from: "Schema.Int.pipe(Schema.between(200, 599))",
    to: "Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 }))"
  },
  {
    file: "src/CacheItem.ts",
    from: "Schema.optionalWith(Schema.Struct({ first: Position, last: Position, size: Position }), { exact: true })",
    to: "Schema.optionalKey(Schema.Struct({ first: Position, last: Position, size: Position }))"
  }
]
