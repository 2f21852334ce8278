/** Ways to ask an app with an inspector, and a shop that has been asked for a while. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect, TestClock } from "effect"
import { HttpCache, HttpCacheInspector, withCache, withCollect } from "effect-http-cache"
import { type App, routes, webHandler } from "./harness.js"

/** Asks an app as a browser does. `path`: that of the inspector. */
export const asking = <E, R>(app: App<E, R>, path = "/inspector") =>
  Effect.map(webHandler(app), (handler) => {
    const ask = (target: string, init: RequestInit = {}) =>
      Effect.promise(() => handler(new Request(new URL(target, "http://localhost"), init)))
    const get = (target: string, headers: { readonly [name: string]: string } = {}) => ask(target, { headers })
    const text = (target: string) => Effect.flatMap(get(target), (response) => Effect.promise(() => response.text()))
    /** What `Cache-Status` says, without the name. */
    const status = (target: string) =>
      Effect.map(get(target), ({ headers }) => headers.get("cache-status")?.replace("effect-http-cache; ", ""))
    const collect = (
      form: { readonly [name: string]: string },
      headers: { readonly [name: string]: string } = { "sec-fetch-site": "same-origin" }
    ) => {
      const body = new URLSearchParams(form).toString()
      const own = { "content-type": "application/x-www-form-urlencoded", "content-length": `${body.length}` }
      return ask(`${path}/collect`, { method: "POST", body, headers: { ...own, ...headers } })
    }
    return { ask, collect, get, status, text }
  })

/** A page as a reader has it: the text, each run of white space as one space. */
export const words = (page: string): string =>
  page.replace(/<(style|script)>[\s\S]*?<\/\1>/g, "").replace(/<[^>]*>/g, " ").replace(/\s+/g, " ")

const sized = (kib: number, headers: { readonly [name: string]: string } = {}) =>
  Effect.sync(() =>
    HttpServerResponse.uint8Array(new Uint8Array(kib * 1024), { headers, contentType: "application/json" })
  )

const field = (name: string) => Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers[name])

const shop = routes({
  "GET /products/:id": Effect.andThen(HttpCache.group("products", "it's <b>\"sold\"</b>"), sized(12)).pipe(
    withCache({ expiry: 90, staleWhileRevalidate: 60, staleIfError: 600 })
  ),
  "GET /products": sized(48, { "x-api-key": "a key of theirs" }).pipe(
    withCache({ expiry: 30, vary: ["accept-language"] })
  ),
  "GET /search": Effect.andThen(field("x-request-id"), sized(3)).pipe(withCache({ expiry: 60 })),
  "GET /basket": sized(2).pipe(withCache({ expiry: 60, partition: field("x-user") })),
  "GET /account": sized(1, { "cache-control": "private" }).pipe(withCache({ expiry: 60 })),
  "GET /assets/:name": sized(420).pipe(withCache({ expiry: 3600 })),
  "PATCH /products/:id": HttpServerResponse.empty().pipe(withCollect())
})

/** The shop with an inspector, and forty minutes of requests to it, as to this origin. */
export const busyShop = (path: string) => {
  const app = shop.pipe(HttpCacheInspector.middleware({ path, unguarded: true }))
  const fill = (origin: string) =>
    Effect.gen(function*() {
      const handler = yield* webHandler(app)
      const get = (path: string, headers: { readonly [name: string]: string } = {}, method = "GET") =>
        Effect.promise(async () => {
          const response = await handler(new Request(`${origin}${path}`, { method, headers }))
          await response.arrayBuffer()
        })
      for (let minute = 0; minute < 40; minute++) {
        const busy = 3 + Math.round(2 * Math.sin(minute / 5)) + minute % 2
        for (let turn = 0; turn < busy; turn++) {
          yield* get(`/products/${turn % 5}`)
          yield* get("/products", { "accept-language": turn % 2 === 0 ? "en" : "fr" })
          yield* get(
            `/assets/${turn % 3 === 0 ? "app.js" : "a-font-with-a-long-name-that-has-to-break.woff2?v=20260101"}`
          )
        }
        yield* get("/search?q=chair&utm_source=newsletter", { "x-request-id": `${minute}` })
        yield* get("/basket", { "x-user": `${minute % 4}` })
        if (minute % 4 === 0) yield* get("/account")
        if (minute % 10 === 9) yield* get("/products/1", {}, "PATCH")
        yield* TestClock.adjust("1 minute")
      }
      for (let turn = 0; turn < 12; turn++) {
        yield* get("/products", { "accept-language": "fr" })
        yield* get("/products/1?<script>alert(1)</script>")
      }
    })
  return { app, fill }
}
