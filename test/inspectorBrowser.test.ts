/**
 * The inspector in a browser: it looks right to axe in light, in dark and on a phone, its script runs under its policy, and it
 * changes while one looks. `SCREENSHOTS=1` writes those of the guide, which `pngquant --ext .png --force docs/inspector/*.png` makes small.
 */
import { expect, it } from "@effect/vitest"
import axe from "axe-core"
import { Effect, TestClock } from "effect"
import type { Browser, Page } from "playwright-core"
import { browser, describeBrowser } from "./chromium.js"
import { serve, TestServer } from "./harness.js"
import { busyShop } from "./inspectorApp.js"

const looks = {
  light: { colorScheme: "light", viewport: { width: 1200, height: 900 } },
  dark: { colorScheme: "dark", viewport: { width: 1200, height: 900 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, hasTouch: true }
} as const

const uri = (port: number, path: string) => encodeURIComponent(`http://127.0.0.1:${port}${path}`)

/** The pages, and those of them that are looked at in one light only. */
const targets = (port: number) => ({
  overview: "",
  item: `/item?uri=${uri(port, "/products")}`,
  explain: "/explain?url=/products&headers=Accept-Language:+fr"
})
const others = (port: number) => ({
  private: `/item?uri=${uri(port, "/basket")}`,
  unknown: "/item?uri=/nothing/is/here",
  problem: "/explain?url=/products&headers=nothing",
  done: "?done=uri"
})

/** What a browser says against a page: errors of its own, what the policy forbids, requests that fail or go elsewhere. */
const complaintsOf = (page: Page, origin: string): Array<string> => {
  const complaints: Array<string> = []
  page.on("console", (message) => void (message.type() === "error" && complaints.push(message.text())))
  page.on("pageerror", (error) => void complaints.push(error.message))
  page.on("requestfailed", (request) => {
    if (!request.url().includes("/events?")) complaints.push(`${request.url()} failed`)
  })
  page.on("request", (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith("data:")) complaints.push(request.url())
  })
  return complaints
}

/** What axe finds, by rule. */
const found = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { readonly axe: typeof axe }).axe.run({
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    })
  )
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html, target }) => `${id}: ${target.join()} ${html}`))
}

const screenshots = new Map<string, string>([
  ["light overview", "light"],
  ["dark overview", "dark"],
  ["phone overview", "phone"],
  ["light item", "item"],
  ["light explain", "explain"]
])

const look = async (browser: Browser, port: number, name: keyof typeof looks): Promise<void> => {
  const page = await browser.newPage(looks[name])
  const origin = `http://127.0.0.1:${port}`
  const complaints = complaintsOf(page, origin)
  for (const [what, target] of Object.entries({ ...targets(port), ...(name === "light" ? others(port) : {}) })) {
    await page.goto(`${origin}/inspector${target}`)
    const where = `${name} ${what}`
    // A sentence that asks for a better field is answered with a status that the console repeats.
    expect(complaints.filter((text) => !(what === "problem" && text.includes("status of 400"))), where).toEqual([])
    complaints.length = 0
    expect(await found(page), where).toEqual([])
    const [wide, seen] = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]") as [number, number]
    expect(wide, `${where} scrolls sideways`).toBeLessThanOrEqual(seen)
    const file = screenshots.get(where)
    if (process.env["SCREENSHOTS"] !== undefined && file !== undefined) {
      await page.screenshot({ path: `docs/inspector/${file}.png`, fullPage: true })
    }
  }
  await page.close()
}

describeBrowser("the inspector in Chromium", () => {
  it.scoped("is readable in light, in dark and on a phone, and axe finds nothing", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.parse("2026-03-02T09:20:00Z"))
      const { app, fill } = busyShop("/inspector")
      const { port } = yield* serve(app)
      const opened = yield* browser
      // Before anybody has asked there is nothing to show, which is to be seen too.
      const page = yield* Effect.promise(() => opened.newPage(looks.light))
      yield* Effect.promise(() => page.goto(`http://127.0.0.1:${port}/inspector`))
      expect(yield* Effect.promise(() => found(page))).toEqual([])
      yield* fill(`http://127.0.0.1:${port}`)
      for (const name of Object.keys(looks) as ReadonlyArray<keyof typeof looks>) {
        yield* Effect.promise(() => look(opened, port, name))
      }
    }).pipe(Effect.scoped, Effect.provide(TestServer)), 120_000)

  it.scoped("is live until it is paused, and collects by its forms", () =>
    Effect.gen(function*() {
      const { app } = busyShop("/inspector")
      const ask = yield* serve(app)
      const origin = `http://127.0.0.1:${ask.port}`
      const opened = yield* browser
      const page = yield* Effect.promise(() => opened.newPage(looks.light))
      page.setDefaultTimeout(20_000)
      const complaints = complaintsOf(page, origin)
      /** Waits until the page says so by itself. */
      const until = (requests: number) =>
        Effect.promise(() => page.locator("#figures dd").nth(1).filter({ hasText: `${requests}since` }).waitFor())
      yield* Effect.promise(() => page.goto(`${origin}/inspector`))
      yield* ask("/products/1")
      yield* until(1)
      const live = page.getByRole("button", { name: "Live" })
      yield* Effect.promise(() => live.click())
      expect(yield* Effect.promise(() => live.getAttribute("aria-pressed"))).toBe("false")
      yield* ask("/products/1")
      yield* Effect.promise(() => live.click())
      yield* until(2)
      yield* Effect.promise(async () => {
        await page.getByLabel("URI or path").fill("/products/1")
        await page.getByRole("button", { name: "Forget this URI" }).click()
        await page.getByRole("status").getByText("The URI was collected.").waitFor()
      })
      expect((yield* ask("/products/1")).cacheStatus).toBe("fwd=uri-miss; stored")
      yield* Effect.promise(async () => {
        await page.getByRole("link", { name: "/products/1" }).first().click()
        await page.getByRole("button", { name: "Forget it's <b>\"sold\"</b>" }).click()
        await page.getByRole("status").getByText("The group was collected.").waitFor()
        await page.getByRole("link", { name: "Explain" }).click()
        await page.getByLabel("URL").fill("/products/1")
        await page.getByRole("button", { name: "Explain" }).click()
        await page.getByText("nothing is stored for the URI").waitFor()
      })
      expect(complaints).toEqual([])
    }).pipe(Effect.scoped, Effect.provide(TestServer)), 120_000)
})
