/** The example with telemetry, as an operator runs it: what Prometheus scrapes, what spans say, what the dashboard asks. */
import { afterAll, describe, expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { endAll, freePort, started } from "./started.js"

afterAll(endAll)

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8")

interface Sample {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
}

/** What is scraped, in the text format of Prometheus. */
const samplesOf = (text: string): ReadonlyArray<Sample> =>
  Array.from(text.matchAll(/^(\w+)\{(.*)\} (\S+)/gm), ([, name = "", labels = "", value]) => ({
    name,
    labels: new Map(Array.from(labels.matchAll(/(\w+)="([^"]*)"/g), ([, label = "", text = ""]) => [label, text])),
    value: Number(value)
  }))

describe("examples/telemetry.ts", () => {
  it("counts each request under load once, and prints spans", { timeout: 60_000 }, async () => {
    const [port, metricsPort] = [await freePort(), await freePort()]
    const env = { ...process.env, PORT: String(port), METRICS_PORT: String(metricsPort) }
    const { says } = started("examples/telemetry.ts", env)
    await says("/handler-runs")
    const paths = ["/users/1", "/users/2", "/users/3", "/greeting", "/me"]
    let sent = 0
    const client = async () => {
      for (let times = 0; times < 20; times++) {
        const path = paths[sent++ % paths.length]!
        const isWrite = path === "/users/2" && times % 5 === 0
        const response = await fetch(`http://localhost:${port}${path}`, {
          method: isWrite ? "PATCH" : "GET",
          ...(isWrite ? { body: "{\"name\":\"Grace\"}", headers: { "if-match": "*" } } : {})
        })
        await response.arrayBuffer()
      }
    }
    await Promise.all(Array.from({ length: 10 }, client))
    const scraped = samplesOf(await (await fetch(`http://localhost:${metricsPort}/metrics`)).text())
    const requests = scraped.filter(({ name }) => name === "effect_http_cache_requests_total")
    expect(requests.reduce((sum, { value }) => sum + value, 0)).toBe(sent)
    const outcomes = new Set(requests.map(({ labels }) => labels.get("outcome")))
    expect([...outcomes].sort()).toEqual(["forwarded", "hit"])
    expect(new Set(requests.map(({ labels }) => labels.get("route")))).toEqual(
      new Set(["/users/:id", "/greeting", "/me"])
    )
    await says("'cache.hit': true")
  })
})

describe("examples/grafana.json", () => {
  interface Dashboard {
    readonly panels: ReadonlyArray<
      { readonly title: string; readonly targets: ReadonlyArray<{ readonly expr: string }> }
    >
  }
  const { panels } = JSON.parse(read("examples/grafana.json")) as Dashboard
  const queries = panels.flatMap(({ targets, title }) => targets.map(({ expr }): [string, string] => [title, expr]))

  /** The documented metrics: by the name under which Prometheus has them, the tags. */
  const known = new Map(
    Array.from(
      read("docs/operations.md").matchAll(/^\| `(effect_http_cache_\w+)` +\| (\w+): [^|]*\| ([^|]*)\|$/gm),
      ([, name = "", kind, tags = ""]) => [
        { counter: `${name}_total`, histogram: `${name}_bucket`, gauge: name }[kind!]!,
        new Set([...Array.from(tags.matchAll(/`(\w+)`/g), ([, tag]) => tag), ...(kind === "histogram" ? ["le"] : [])])
      ]
    )
  )

  it.each(queries)("asks for what there is: %s", (_, expr) => {
    const names = expr.match(/effect_http_cache_\w+/g) ?? []
    expect(names.length).toBeGreaterThan(0)
    expect(names.filter((name) => !known.has(name))).toEqual([])
    const labels = [
      ...Array.from(expr.matchAll(/by \(([^)]*)\)/g), ([, labels = ""]) => labels.split(", ")),
      ...Array.from(expr.matchAll(/(\w+)(?:=~|!=|=)"/g), ([, label = ""]) => [label])
    ].flat()
    expect(labels.filter((label) => !known.get(names[0]!)!.has(label))).toEqual([])
  })

  it("shows each metric", () => {
    const shown = new Set(queries.flatMap(([, expr]) => expr.match(/effect_http_cache_\w+/g) ?? []))
    expect([...shown].sort()).toEqual([...known.keys()].sort())
  })
})
