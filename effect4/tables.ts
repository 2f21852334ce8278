/** What is named otherwise in Effect 4. An entry that matches nothing is an error, so that the tables stay true. */

export interface Lookup {
  readonly [name: string]: string
}

const http = [
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
  "HttpApiEndpoint",
  "HttpApiGroup",
  "HttpApiSchema"
]

/** Where modules are. */
export const modules: Lookup = {
  ...Object.fromEntries(http.map((name) => [`@effect/platform/${name}`, `effect/http/${name}`])),
  "@effect/platform": "effect/http",
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
  "Context.Tag": "Service",
  "Context.unsafeGet": "getUnsafe",
  "Cookies.unsafeMakeCookie": "makeCookieUnsafe",
  "Duration.DurationInput": "Input",
  "Duration.decodeUnknown": "fromInput",
  "Effect.async": "callback",
  "Effect.catchAll": "catch",
  "Effect.catchAllDefect": "catchDefect",
  "Effect.fork": "forkChild",
  "Effect.yieldNow()": "yieldNow",
  "Effect.zipLeft": "tap",
  "Effect.zipRight": "andThen",
  "Effect.mapInputContext": "updateContext",
  "Headers.unsafeFromRecord": "fromRecordUnsafe",
  "HttpServerResponse.unsafeJson": "jsonUnsafe",
  "HttpServerResponse.unsafeSetCookie": "setCookieUnsafe",
  "Fiber.RuntimeFiber": "Fiber",
  "NodeHttpClient.layer": "layerNodeHttp",
  "NodeHttpServer.layerContext": "layerHttpServices",
  "Stream.repeatEffect": "fromEffectRepeat",
  "Stream.unwrapScoped": "unwrap",
  "Layer.scoped": "effect",
  "Layer.scopedContext": "effectContext",
  "it.scoped": "effect"
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
    file: "test/Stale.test.ts",
    from: "Schema.TaggedError<Gone>()(\"Gone\", {}, HttpApiSchema.annotations({ status: 410 }))",
    to: "Schema.TaggedError<Gone>()(\"Gone\", {}, { httpApiStatus: 410 })"
  },
  {
    file: "test/Streams.test.ts",
    from: "NodeStream.fromReadable(() => Readable.from([Buffer.from(\"content\")]), (e) => e)",
    to: "NodeStream.fromReadable({ evaluate: () => Readable.from([Buffer.from(\"content\")]), onError: (e) => e })"
  },
  {
    file: "test/failures/Keys.test.ts",
    from: "Schema.Record({ key: Schema.String, value: Schema.String })",
    to: "Schema.Record(Schema.String, Schema.String)"
  },
  {
    file: "src/CacheItem.ts",
    from: "const FieldValue = Schema.String.pipe(Schema.pattern(/^[\\t\\x20-\\x7e\\x80-\\xff]*$/))",
    to: "const FieldValue = Schema.String.check(Schema.isPattern(/^[\\t\\x20-\\x7e\\x80-\\xff]*$/))"
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
