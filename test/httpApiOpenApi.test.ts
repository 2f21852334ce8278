/** What the OpenAPI document of an api tells of the cache, and what Swagger shows of it. */
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiError, HttpApiGroup, OpenApi } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpApiCache } from "effect-http-cache"
import { appsOfApi, serve, TestServer } from "./harness.js"

const id = Schema.Struct({ id: Schema.NumberFromString })

const products = HttpApiGroup.make("products")
  .add(
    HttpApiEndpoint.get("get", "/products/:id").setPath(id).addSuccess(Schema.String).addError(HttpApiError.NotFound)
      .setHeaders(Schema.Struct({ "if-none-match": Schema.optional(Schema.String) }))
  )
  .add(
    HttpApiEndpoint.patch("patch", "/products/:id").setPath(id).setHeaders(Schema.Struct({ "if-match": Schema.String }))
      .addError(HttpApiError.NotFound).annotate(HttpApiCache.Collects, true)
  )
  .add(HttpApiEndpoint.get("list", "/products").addSuccess(Schema.Array(Schema.String)))
  .add(
    HttpApiEndpoint.get("quiet", "/quiet").addSuccess(Schema.String)
      .annotate(HttpApiCache.Policy, { expiry: 1, cacheStatus: false })
  )
  .add(HttpApiEndpoint.get("live", "/live").addSuccess(Schema.String).annotate(HttpApiCache.Policy, false))
  .add(HttpApiEndpoint.post("ping", "/ping"))
  .add(HttpApiEndpoint.get("hidden", "/hidden").annotate(OpenApi.Exclude, true))
  .annotate(HttpApiCache.Policy, { expiry: 10 })

const bare = HttpApi.make("api").add(products)

const api = bare.pipe(HttpApiCache.openApi)

/** A response that Effect 3 has of its own at each operation. */
const isRefusal = (status: string) => status === "400"

/** Of each operation, the request fields, and of each of its responses the fields. */
const told = (document: OpenApi.OpenAPISpec) =>
  Object.fromEntries(
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { parameters, responses }]) =>
        [
          `${method} ${path}`,
          {
            fields: parameters.filter((parameter) => parameter.in === "header").map(({ name }) => name),
            responses: Object.fromEntries(
              Object.entries(responses).filter(([status]) => !isRefusal(status)).map(([status, response]) =>
                [status, Object.keys((response as { readonly headers?: object }).headers ?? {}).join(", ")] as const
              )
            )
          }
        ] as const
      )
    )
  )

const all = "Cache-Control, ETag, Age, Cache-Status"

describe("OpenAPI", () => {
  it("tells response fields, 304, If-None-Match, and 412 where a precondition is declared", () => {
    expect(told(OpenApi.fromApi(api))).toEqual({
      "get /products/{id}": {
        fields: ["if-none-match"],
        responses: { 200: all, 304: all, 404: "Cache-Status" }
      },
      "patch /products/{id}": {
        fields: ["if-match"],
        responses: { 204: "Cache-Status", 404: "Cache-Status", 412: "Cache-Status" }
      },
      "get /products": { fields: ["If-None-Match"], responses: { 200: all, 304: all } },
      "get /quiet": {
        fields: ["If-None-Match"],
        responses: { 200: "Cache-Control, ETag, Age", 304: "Cache-Control, ETag, Age" }
      },
      "get /live": { fields: [], responses: { 200: "" } },
      "post /ping": { fields: [], responses: { 204: "" } }
    })
    const { responses } = OpenApi.fromApi(api).paths["/products"]!.get!
    expect(responses[304]).toMatchObject({
      description: "The client has the response already",
      headers: { Age: { schema: { type: "integer", minimum: 0 } } }
    })
  })

  it("changes nothing else", () => {
    const { paths, ...rest } = OpenApi.fromApi(api)
    const { paths: before, ...others } = OpenApi.fromApi(bare)
    expect(rest).toEqual(others)
    expect(paths["/live"]).toEqual(before["/live"])
    expect(paths["/products/{id}"]!.get!.responses[404]!.content).toEqual(
      before["/products/{id}"]!.get!.responses[404]!.content
    )
    expect(told(OpenApi.fromApi(bare))["get /products"]).toEqual({ fields: [], responses: { 200: "" } })
  })

  it("has the api's own transform get what it makes, and keeps what endpoints say themselves", () => {
    const own = bare.annotate(OpenApi.Transform, (document) => ({
      ...document,
      info: {
        title: `with ${
          Object.keys(document["paths"]["/products"].get.responses).filter((status) => !isRefusal(status)).join(", ")
        }`,
        version: "2"
      }
    }))
    expect(OpenApi.fromApi(own.pipe(HttpApiCache.openApi)).info).toEqual({ title: "with 200, 304", version: "2" })
    const described = HttpApi.make("api").add(
      HttpApiGroup.make("group").add(
        HttpApiEndpoint.get("get", "/").addSuccess(Schema.String).annotate(HttpApiCache.Policy, { expiry: 1 })
          .annotate(OpenApi.Transform, (operation) => ({
            ...operation,
            responses: {
              ...operation["responses"],
              304: { description: "own", headers: { Age: { description: "own" } } }
            }
          }))
      )
    ).pipe(HttpApiCache.openApi)
    expect(OpenApi.fromApi(described).paths["/"]!.get!.responses[304]).toMatchObject({
      description: "own",
      headers: { "Age": { description: "own" }, "Cache-Status": {} }
    })
  })
})

describe("Swagger", () => {
  const group = HttpApiBuilder.group(
    api,
    "products",
    (handlers) =>
      handlers.handle("get", () => Effect.succeed("a")).handle("patch", () => Effect.void)
        .handle("list", () => Effect.succeed([])).handle("quiet", () => Effect.succeed(""))
        .handle("live", () => Effect.succeed("")).handle("ping", () => Effect.void).handle("hidden", () => Effect.void)
        .pipe(HttpApiCache.cached(api))
  )
  const apps = appsOfApi(api, group)
  const Services = Layer.merge(TestServer, NodeHttpServer.layerContext)
  const specIn = (html: string) =>
    JSON.parse(
      /<script id="swagger-spec" type="application\/json">([\s\S]*?)<\/script>/.exec(html)![1]!
    ) as OpenApi.OpenAPISpec

  it.scoped.each(Object.keys(apps) as Array<keyof typeof apps>)(
    "shows it on %s, and what it says is so",
    (router) =>
      Effect.gen(function*() {
        const ask = yield* serve((yield* apps[router]) as Effect.Effect.Success<typeof apps.HttpRouter>)
        const document = specIn((yield* ask("/docs")).text)
        expect(told(document)).toEqual(told(OpenApi.fromApi(api)))
        if (router === "HttpLayerRouter") expect(JSON.parse((yield* ask("/openapi.json")).text)).toEqual(document)
        yield* ask("/products")
        const { headers } = yield* ask("/products")
        for (const field of all.split(", ")) expect(Object.keys(headers)).toContain(field.toLowerCase())
        const known = yield* ask("/products", { headers: { "If-None-Match": String(headers["etag"]) } })
        expect(known.status).toBe(304)
        for (const field of all.split(", ")) expect(Object.keys(known.headers)).toContain(field.toLowerCase())
      }).pipe(Effect.provide(Services))
  )
})
