/** Debian's Chromium, and suites that need it. */
import { describe } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { chromium } from "playwright-core"

const path = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => existsSync(path))

/** Without Chromium the suite is left out, and its title says what to do; with `CI` it fails. */
export const describeBrowser = (title: string, tests: () => void): void =>
  void (path === undefined && process.env["CI"] === undefined
    ? describe.skip(`${title} (left out without Chromium: apt-get install -y chromium)`, tests)
    : describe(title, tests))

/** A browser that is closed with the scope. */
export const browser = Effect.acquireRelease(
  Effect.promise(() =>
    path === undefined
      ? Promise.reject(new Error("There is no Chromium. Install it: apt-get install -y chromium"))
      : chromium.launch({ executablePath: path, args: ["--no-sandbox", "--disable-dev-shm-usage"] })
  ),
  (browser) => Effect.promise(() => browser.close())
)
