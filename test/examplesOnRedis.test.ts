/** The examples that run with one process run with several, over Redis. */
import { afterAll, expect, it } from "@effect/vitest"
import { once } from "node:events"
import { createServer } from "node:http"
import { codeOfSignal } from "./harness.js"
import { describeRedis, sharedServer } from "./redis.js"
import { endAll, freePort, started } from "./started.js"

afterAll(endAll)

/** What is stored, once it is: at first a process that has just started may be too slow to store what it answers. */
const stored = async (url: string): Promise<{ readonly text: string; readonly date: string | null }> => {
  for (;;) {
    const response = await fetch(url)
    const text = await response.text()
    if (/; hit;/.test(response.headers.get("cache-status") ?? "")) return { text, date: response.headers.get("date") }
  }
}

const ada = "{\"id\":\"1\",\"name\":\"Ada\",\"version\":1}"
const grace = "{\"id\":\"1\",\"name\":\"Grace\",\"version\":2}"
const patch = { method: "PATCH", headers: { "if-match": "\"v1\"" }, body: "{\"name\":\"Grace\"}" }

describeRedis("examples with STORAGE=redis://", () => {
  const server = sharedServer()
  const withRedis = (env: { readonly [name: string]: string }) => ({
    ...process.env,
    STORAGE: `redis://127.0.0.1:${server.port}`,
    ...env
  })

  it("cluster: what one process stores the other serves, and a PATCH at one is seen at the other", async () => {
    const ports = [await freePort(), await freePort()]
    const { child, exited, says } = started("examples/cluster.ts", withRedis({ PORTS: ports.join() }))
    await says("/handler-runs", 2)
    const [a, b] = ports.map((port) => `http://localhost:${port}/users/1`) as [string, string]
    expect((await stored(a)).text).toBe(ada)
    expect((await stored(b)).text).toBe(ada)
    expect(await (await fetch(b, patch)).text()).toBe(grace)
    expect(await (await fetch(a)).text()).toBe(grace)
    expect((await stored(b)).text).toBe(grace)
    child.kill("SIGTERM")
    expect(await exited).toEqual([codeOfSignal, null])
    for (const url of [a, b]) await expect(fetch(url)).rejects.toThrow()
  }, 60_000)

  /** What a process stores, and what one finds that is started after it has ended. */
  const twice = async (example: string, path: string, env: { readonly [name: string]: string }) => {
    const port = String(await freePort())
    const found: Array<unknown> = []
    for (let run = 1; run <= 2; run++) {
      const { child, exited, says } = started(`examples/${example}.ts`, withRedis({ PORT: port, ...env }))
      await says("Listening")
      found.push(await stored(`http://localhost:${port}${path}`))
      child.kill("SIGTERM")
      expect(await exited).toEqual([codeOfSignal, null])
    }
    return found
  }

  it("quickstart: one that is started anew has what another stored", async () => {
    const [first, second] = await twice("quickstart", "/greeting", {})
    expect(second).toEqual(first)
  }, 60_000)

  it("reverse proxy: one that is started anew has what another stored", async () => {
    let asked = 0
    const origin = createServer((_, response) =>
      response.setHeader("cache-control", "max-age=600").end(`answer ${++asked}`)
    )
    await once(origin.listen(0, "127.0.0.1"), "listening")
    const { port } = origin.address() as { port: number }
    const [first, second] = await twice("reverse-proxy", "/", { ORIGIN: `http://127.0.0.1:${port}` })
    expect(second).toEqual(first)
    origin.close()
  }, 60_000)

  it("end with one clear line and a non-zero code for a STORAGE that is none", async () => {
    for (const example of ["quickstart", "reverse-proxy"]) {
      const { exited, output } = started(`examples/${example}.ts`, {
        ...process.env,
        ORIGIN: "http://127.0.0.1:1",
        STORAGE: "memory"
      })
      expect(await exited).toEqual([1, null])
      expect(output()).toBe(
        "STORAGE: RedisCacheStorage: url must be redis://host:port, or rediss://host:port for TLS\n"
      )
    }
  }, 60_000)
})
