/** A shop with an `HttpApi`, which is cached by annotations. */
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "@effect/platform"
import { Context, Effect, Layer, Schema } from "effect"
import { HttpApiCache, HttpCache } from "effect-http-cache"
import { Bearer, BearerLive, Customer } from "./bearer.js"

class NoProduct extends Schema.TaggedError<NoProduct>()(
  "NoProduct",
  { id: Schema.Number },
  HttpApiSchema.annotations({ status: 404 })
) {}

/** Its status stands at the endpoints. */
class Closed extends Schema.TaggedError<Closed>()("Closed", {}) {}

const Product = Schema.Struct({ id: Schema.Number, name: Schema.String, run: Schema.Number })

const Products = Schema.Struct({ found: Schema.Array(Schema.String), language: Schema.String, run: Schema.Number })

const id = Schema.Struct({ id: Schema.NumberFromString })

const products = HttpApiGroup.make("products")
  .add(
    HttpApiEndpoint.get("list", "/products")
      .setUrlParams(
        Schema.Struct({ tag: Schema.optional(Schema.Array(Schema.String)), page: Schema.optional(Schema.String) })
      )
      .setHeaders(Schema.Struct({ "accept-language": Schema.optional(Schema.String) }))
      .addSuccess(Products)
  )
  .add(HttpApiEndpoint.get("product", "/products/:id").setPath(id).addSuccess(Product).addError(NoProduct))
  .add(
    HttpApiEndpoint.get("stock", "/products/:id/stock").setPath(id).addSuccess(Schema.Number).annotate(
      HttpApiCache.Policy,
      false
    )
  )
  .add(
    HttpApiEndpoint.get("hours", "/hours").addSuccess(HttpApiSchema.Text()).addError(Closed, { status: 503 })
      .annotate(HttpApiCache.Policy, { expiry: 5, staleIfError: 100 })
  )
  .add(
    HttpApiEndpoint.patch("rename", "/products/:id").setPath(id).setPayload(Schema.Struct({ name: Schema.String }))
      .addSuccess(
        Product
      )
      .addError(NoProduct)
  )
  .add(
    HttpApiEndpoint.post("close", "/close").annotate(HttpApiCache.Collects, false)
  )
  .annotate(HttpApiCache.Policy, { expiry: 60 })
  .annotate(HttpApiCache.Collects, { groups: ({ url }) => [`product:${/\d+/.exec(url)?.[0]}`] })

const orders = HttpApiGroup.make("orders")
  .add(HttpApiEndpoint.get("mine", "/orders").addSuccess(Schema.Struct({ of: Schema.String, run: Schema.Number })))
  .add(HttpApiEndpoint.post("place", "/orders").annotate(HttpApiCache.Collects, true))
  .middleware(Bearer)

export const api = HttpApi.make("shop").add(products).add(orders)
  .annotate(HttpApiCache.Policy, { expiry: 10, clients: "revalidate" })

/** What is in the shop, and how often its handlers have run. */
interface Shelf {
  readonly names: Map<number, string>
  readonly run: () => number
  isClosed: boolean
}

class Shop extends Context.Tag("Shop")<Shop, Shelf>() {}

const find = (id: number) =>
  Effect.flatMap(Shop, ({ names, run }) => {
    const name = names.get(id)
    return name === undefined ? new NoProduct({ id }) : Effect.succeed({ id, name, run: run() })
  })

const ProductsLive = HttpApiBuilder.group(api, "products", (handlers) =>
  handlers
    .handle("list", ({ headers, urlParams }) =>
      Effect.gen(function*() {
        const { names, run } = yield* Shop
        yield* HttpCache.group(...Array.from(names.keys(), (id) => `product:${id}`))
        const found = [...names.values()].filter((name) => (urlParams.tag ?? [""]).some((tag) => name.includes(tag)))
        return { found, language: headers["accept-language"] ?? "any", run: run() }
      }))
    .handle("product", ({ path }) => find(path.id))
    .handle("stock", () => Effect.map(Shop, ({ run }) => run()))
    .handle("hours", () =>
      Effect.flatMap(Shop, ({ isClosed, run }) => isClosed ? new Closed() : Effect.succeed(`run ${run()}`)))
    .handle("rename", ({ path, payload }) =>
      Effect.flatMap(find(path.id), (product) =>
        Effect.map(Shop, ({ names }) => {
          names.set(path.id, payload.name)
          return { ...product, name: payload.name }
        })))
    .handle("close", () =>
      Effect.map(Shop, (shop) => void (shop.isClosed = true)))
    .pipe(HttpApiCache.cached(api)))

const OrdersLive = HttpApiBuilder.group(api, "orders", (handlers) =>
  handlers
    .handle("mine", () => Effect.flatMap(Customer, (of) => Effect.map(Shop, ({ run }) => ({ of, run: run() }))))
    .handle("place", () => Effect.void)
    .pipe(HttpApiCache.cached(api, { partition: Customer })))

const ShopLive = Layer.sync(Shop, () => {
  let runs = 0
  return { names: new Map([[1, "red chair"], [2, "blue table"]]), run: () => ++runs, isClosed: false }
})

/** The handlers of the shop, which needs a storage. */
export const GroupsLive = Layer.mergeAll(ProductsLive, OrdersLive).pipe(
  Layer.provide([ShopLive]),
  Layer.provideMerge(BearerLive)
)
