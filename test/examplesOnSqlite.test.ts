/** The quickstart in a file of SQLite. */
import { afterAll, expect, it } from "@effect/vitest"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { endAll, freePort, started } from "./started.js"

const folder = mkdtempSync(join(tmpdir(), "effect-http-cache-quickstart-"))

afterAll(async () => {
  await endAll()
  rmSync(folder, { recursive: true, force: true })
})

it("serves after a restart what it has stored before", async () => {
  const said: Array<string | null> = []
  const env = { ...process.env, STORAGE: `sqlite:${join(folder, "cache.db")}`, PORT: String(await freePort()) }
  for (let run = 0; run < 2; run++) {
    const { child, exited, says } = started("examples/quickstart.ts", env)
    await says("/handler-runs")
    const response = await fetch(`http://localhost:${env.PORT}/greeting`, { headers: { "accept-language": "fr" } })
    said.push(response.headers.get("cache-status"))
    child.kill("SIGTERM")
    expect(await exited).toEqual([0, null])
  }
  expect(said).toEqual([
    "effect-http-cache; fwd=uri-miss; stored",
    expect.stringMatching(/^effect-http-cache; hit; ttl=\d+$/)
  ])
})
