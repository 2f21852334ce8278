import { it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { chromium } from "playwright-core"
import { serve, TestServer } from "./harness.js"
import { busyShop } from "./inspectorApp.js"
it.scoped("looks", () =>
  Effect.gen(function*() {
    yield* TestClock.setTime(Date.parse("2026-03-02T09:20:00Z"))
    const { app } = yield* busyShop
    const { port } = yield* serve(app)
    yield* Effect.promise(async () => {
      const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] })
      for (
        const [name, width, scheme] of [["light", 1200, "light"], ["dark", 1200, "dark"], [
          "phone",
          390,
          "light"
        ]] as const
      ) {
        const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: scheme })
        page.on("console", (m) => process.stderr.write(`${name} console: ${m.text()}\n`))
        page.on("pageerror", (m) => process.stderr.write(`${name} error: ${m}\n`))
        await page.goto(`http://127.0.0.1:${port}/inspector`)
        await page.screenshot({ path: `/tmp/shot-${name}.png`, fullPage: true })
        await page.goto(
          `http://127.0.0.1:${port}/inspector/item?uri=` + encodeURIComponent("http://127.0.0.1/products/0")
        )
        await page.screenshot({ path: `/tmp/shot-item-${name}.png`, fullPage: true })
        await page.goto(
          `http://127.0.0.1:${port}/inspector/explain?url=/products?page=2&method=GET&headers=accept-language:+fr`
        )
        await page.screenshot({ path: `/tmp/shot-explain-${name}.png`, fullPage: true })
        await page.close()
      }
      await browser.close()
    })
  }).pipe(Effect.provide(TestServer)), 60000)
