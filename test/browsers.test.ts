/** What `docs/browsers.md` says of browsers, in Chromium. */
import { HttpMiddleware, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { HttpCache, withCache, withCollect } from "effect-http-cache"
import type { Page } from "playwright-core"
import { browser, describeBrowser } from "./chromium.js"
import { routes, serve, TestServer } from "./harness.js"

/** A site that counts its answers, and what a browser has sent to it: how it asked, and what it got. */
const site = () => {
  const sent: Array<string> = []
  let edition = 0
  const page = Effect.sync(() => HttpServerResponse.html(`<p>edition ${++edition}</p>`))
  const account = Effect.map(
    HttpServerRequest.HttpServerRequest,
    ({ cookies }) => HttpServerResponse.html(`<p>the account of ${cookies["session"]}</p>`)
  )
  const form = Effect.zipRight(HttpCache.noStore, page)
  const logout = HttpServerResponse.empty({ headers: { "clear-site-data": "\"cache\", \"storage\"" } })
  const expiry = 600
  const answers = routes({
    "GET /": Effect.succeed(HttpServerResponse.html("<p>home</p>")),
    "GET /both": page.pipe(withCache({ expiry, sharedExpiry: "1 hour" })),
    "GET /asking": page.pipe(withCache({ expiry, clients: "revalidate" })),
    "GET /own": page.pipe(withCache({ expiry, cacheControl: "private" })),
    "PATCH /asking": HttpServerResponse.empty().pipe(withCollect()),
    "GET /honoring": page.pipe(withCache({ expiry, requestDirectives: "honor" })),
    "GET /account": account.pipe(
      withCache({
        expiry,
        partition: Effect.map(HttpServerRequest.HttpServerRequest, ({ cookies }) => cookies["session"])
      })
    ),
    "GET /form": form.pipe(withCache({ expiry })),
    "POST /logout": logout
  })
  const app = HttpMiddleware.make((app) =>
    Effect.tap(
      app,
      ({ headers: said, status }) =>
        Effect.map(HttpServerRequest.HttpServerRequest, ({ headers, method, url }) => {
          const asked = [headers["cache-control"], headers["if-none-match"] && "with a tag"].filter(Boolean)
          const did = /effect-http-cache; (hit|fwd=[a-z-]+)/.exec(said["cache-status"] ?? "")?.[1]
          if (url !== "/favicon.ico") sent.push([method, url, ...asked, status, did].filter(Boolean).join(" "))
        })
    )
  )(answers)
  /** What was sent since it was last asked. */
  return { app, sent: () => sent.splice(0) }
}

/** A page of a new browser, and how it is led about. Its clock and the server's agree: freshness is counted by both. */
const visit = Effect.gen(function*() {
  yield* TestClock.setTime(Date.now())
  const { app, sent } = site()
  const ask = yield* serve(app)
  const opened = yield* browser
  const page = yield* Effect.promise(() => opened.newPage())
  page.setDefaultTimeout(20_000)
  const led = (lead: (page: Page) => Promise<unknown>) =>
    Effect.promise(async () => {
      await lead(page)
      return { shown: await page.locator("p").textContent(), sent: sent() }
    })
  const origin = `http://127.0.0.1:${ask.port}`
  return {
    /** Of another client, which this browser knows nothing of. */
    write: Effect.zipRight(ask("/asking", { method: "PATCH" }), Effect.sync(sent)),
    goTo: (path: string) => led((page) => page.goto(`${origin}${path}`)),
    back: led((page) => page.goBack()),
    reload: led((page) => page.reload()),
    forcedReload: led(async (page) => {
      const devtools = await page.context().newCDPSession(page)
      const loaded = page.waitForEvent("load")
      await devtools.send("Page.reload", { ignoreCache: true })
      await loaded
    }),
    logOut: led((page) => page.evaluate(() => fetch("/logout", { method: "POST" }).then(() => {}))),
    become: (session: string) =>
      Effect.promise(() => page.context().addCookies([{ name: "session", value: session, url: origin }]))
  }
})

describeBrowser("what the guide says of browsers, in Chromium", () => {
  it.scoped("what is fresh for both, or private, is not asked for again", () =>
    Effect.gen(function*() {
      const { goTo } = yield* visit
      for (const [path, shown] of [["/both", "edition 1"], ["/own", "edition 2"]] as const) {
        expect(yield* goTo(path)).toEqual({ shown, sent: [`GET ${path} 200 fwd=uri-miss`] })
        yield* goTo("/")
        expect(yield* goTo(path)).toEqual({ shown, sent: [] })
      }
    }).pipe(Effect.scoped, Effect.provide(TestServer)), 60_000)

  it.scoped(
    "what is kept and asked for each time is a 304, and after a write what is new",
    () =>
      Effect.gen(function*() {
        const { goTo, write } = yield* visit
        yield* goTo("/asking")
        yield* goTo("/")
        expect(yield* goTo("/asking")).toEqual({ shown: "edition 1", sent: ["GET /asking with a tag 304 hit"] })
        yield* write
        yield* goTo("/")
        expect(yield* goTo("/asking")).toEqual({
          shown: "edition 2",
          sent: ["GET /asking with a tag 200 fwd=uri-miss"]
        })
      }).pipe(Effect.scoped, Effect.provide(TestServer)),
    60_000
  )

  it.scoped(
    "a reload is a 304 and a forced one a hit, and the handler runs where the route honors them",
    () =>
      Effect.gen(function*() {
        const { forcedReload, goTo, reload } = yield* visit
        yield* goTo("/both")
        expect(yield* reload).toEqual({ shown: "edition 1", sent: ["GET /both max-age=0 with a tag 304 hit"] })
        expect(yield* forcedReload).toEqual({ shown: "edition 1", sent: ["GET /both no-cache 200 hit"] })
        yield* goTo("/honoring")
        yield* TestClock.adjust("1 second")
        expect((yield* reload).shown).toBe("edition 3")
        yield* TestClock.adjust("1 second")
        expect((yield* forcedReload).shown).toBe("edition 4")
      }).pipe(Effect.scoped, Effect.provide(TestServer)),
    60_000
  )

  it.scoped("back shows the page as it was, but for what says no-store", () =>
    Effect.gen(function*() {
      const { back, goTo } = yield* visit
      yield* goTo("/asking")
      yield* goTo("/")
      expect(yield* back).toEqual({ shown: "edition 1", sent: [] })
      yield* goTo("/form")
      yield* goTo("/")
      expect(yield* back).toEqual({ shown: "edition 3", sent: ["GET /form 200 fwd=uri-miss"] })
    }).pipe(Effect.scoped, Effect.provide(TestServer)), 60_000)

  it.scoped(
    "another session of the same browser is not shown what it keeps, and a logout empties that",
    () =>
      Effect.gen(function*() {
        const { become, goTo, logOut } = yield* visit
        yield* become("ann")
        yield* goTo("/account")
        yield* goTo("/")
        expect(yield* goTo("/account")).toEqual({ shown: "the account of ann", sent: [] })
        yield* become("bob")
        expect((yield* goTo("/account")).shown).toBe("the account of bob")
        yield* goTo("/both")
        yield* logOut
        expect((yield* goTo("/both")).sent).toEqual(["GET /both 200 hit"])
      }).pipe(Effect.scoped, Effect.provide(TestServer)),
    60_000
  )
})
