/**
 * The public suite of HTTP cache tests against the reverse proxy, and as for a browser against a client with a cache around it:
 * `npm run conformance` and `npm run conformance:client`.
 *
 * Starts the suite's own origin and the proxy, runs each case, and holds the results against `conformance/expected.json`:
 * whoever fails is named there with a reason. What the suite has no cases for is in `conformance/*.mjs`. `npm run conformance -- ID` runs one case and shows what was on the wire.
 * Of a client there is no proxy, and what differs is in `conformance/expected.client.json`. With `STORAGE=redis://host:port`, or another one of `examples/storage.ts`, the proxy stores there; with `LANE=true` it answers fresh hits by the lane.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { freePort } from "../test/freePort.js"
import { clientFetch } from "./clientFetch.js"

interface Case {
  readonly id: string
  readonly kind?: "required" | "optimal" | "check"
  readonly browser_only?: boolean
  readonly browser_skip?: boolean
  dump?: boolean
}
interface Group {
  readonly id: string
  readonly name: string
  readonly tests: ReadonlyArray<Case>
}
type Results = { readonly [id: string]: true | readonly [string, string] }
type Kind = "required" | "optimal" | "check"

const root = fileURLToPath(new URL("..", import.meta.url))
const suite = dirname(createRequire(import.meta.url).resolve("http-cache-tests/package.json"))
const load = (path: string) => import(pathToFileURL(join(suite, path)).href)

/** What the public suite has no cases for, in its format. */
const ownCases = new URL("../conformance/", import.meta.url)
const ownGroups = readdirSync(ownCases).filter((name) => name.endsWith(".mjs"))

const isOfClient = process.argv[2] === "client"
const only = process.argv[isOfClient ? 3 : 2]

/** Browsers leave these out, since they put conditions and redirections out of sight. */
const forClients = new Set(["conditional-etag", "conditional-lm", "status"])

/** Each exception with its reason, and our answer to each check with why. */
interface Expected {
  readonly exceptions: { readonly [id: string]: string }
  readonly checks: { readonly [id: string]: string }
}
const read = (name: string) => JSON.parse(readFileSync(join(root, `conformance/${name}.json`), "utf8")) as Expected
const ofProxy = read("expected")
const ofClient = isOfClient ? read("expected.client") : { exceptions: {}, checks: {} }
const expected: Expected = {
  exceptions: { ...ofProxy.exceptions, ...ofClient.exceptions },
  checks: { ...ofProxy.checks, ...ofClient.checks }
}

const cell = ([passed, all]: ReadonlyArray<number>) => `${passed}/${all}`.padStart(10)

const children: Array<ChildProcess> = []

const start = async (args: ReadonlyArray<string>, env: { readonly [name: string]: string }, isReady: RegExp) => {
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"]
  })
  children.push(child)
  let output = ""
  child.stdout.on("data", (chunk) => output += chunk)
  while (!isReady.test(output)) {
    await Promise.race([once(child.stdout, "data"), once(child, "exit").then(() => Promise.reject(new Error(output)))])
  }
}

const originPort = await freePort()
const proxyPort = await freePort()
await start([join(suite, "server/server.mjs")], {
  npm_config_protocol: "http",
  npm_config_port: String(originPort),
  npm_config_pidfile: join(tmpdir(), `http-cache-tests-${process.pid}.pid`)
}, /Listening/)
const startProxy = async () => {
  console.log("COOKIES=store: the suite wants responses that set cookies to be stored, as RFC 9111 §7.3 permits")
  await start(["--import", "tsx", "examples/reverse-proxy.ts"], {
    ORIGIN: `http://127.0.0.1:${originPort}`,
    PORT: String(proxyPort),
    COOKIES: "store",
    // A hundred cases begin at once: a storage that is asked over a socket is not left alone for that.
    STORAGE_TIMEOUT: "10 seconds"
  }, /Listening/)
}
if (!isOfClient) await startProxy()

try {
  const all: ReadonlyArray<Group> = [
    ...(await load("tests/index.mjs")).default,
    ...(await Promise.all(ownGroups.map((file) => import(new URL(file, ownCases).href)))).map((module) =>
      module.default
    )
  ]
  const isLeftOut = ({ browser_only = false, browser_skip = false }: Case) => isOfClient ? browser_skip : browser_only
  const groups = all.map((group) => ({
    ...group,
    tests: group.tests.map((test) => isOfClient && forClients.has(group.id) ? { ...test, browser_skip: false } : test)
      .filter((test) => !isLeftOut(test))
  }))
  const { runTests, getResults } = await load("client/runner.mjs")
  const { determineTestResult } = await load("lib/display.mjs")
  const client = isOfClient ? clientFetch() : undefined
  const fetch = client !== undefined
    ? client.fetch
    : (await import(pathToFileURL(createRequire(join(suite, "package.json")).resolve("node-fetch")).href)).default

  const chosen = only === undefined ? groups : groups.map((group) => ({
    ...group,
    tests: group.tests.filter(({ id }) => id === only).map((test) => ({ ...test, dump: true }))
  }))
  await runTests(chosen, fetch, isOfClient, `http://127.0.0.1:${isOfClient ? originPort : proxyPort}`)
  await client?.dispose()
  const results: Results = getResults()

  const wrong: Array<string> = []
  const table: Array<readonly [string, { [K in Kind]: [passed: number, all: number] }]> = []
  for (const group of chosen) {
    const counts: { [K in Kind]: [number, number] } = { required: [0, 0], optimal: [0, 0], check: [0, 0] }
    for (const { id, kind = "required" } of group.tests) {
      const symbol: string = determineTestResult(groups, id, results)[2]
      const isPass = symbol === "✅" || symbol === "Y"
      counts[kind][0] += Number(isPass)
      counts[kind][1] += 1
      const result = results[id]
      const why = result === true || result === undefined ? symbol : `${symbol} ${result[1]}`
      if (kind === "check") {
        const answer = expected.checks[id]
        if (answer === undefined || answer.startsWith("yes") !== isPass) {
          wrong.push(`${id} (check): ${why}, expected: ${answer}`)
        }
      } else if (isPass === id in expected.exceptions) {
        wrong.push(`${id} (${kind}): ${why}${isPass ? ", though it is an exception" : ""}`)
      }
    }
    table.push([group.name, counts])
  }

  const total = { required: [0, 0], optimal: [0, 0], check: [0, 0] }
  console.log(`${"".padEnd(48)}${"required".padStart(10)}${"optimal".padStart(10)}${"check".padStart(10)}`)
  for (const [name, counts] of table) {
    for (const kind of ["required", "optimal", "check"] as const) {
      for (const index of [0, 1]) total[kind][index]! += counts[kind][index]!
    }
    console.log(`${name.padEnd(48)}${cell(counts.required)}${cell(counts.optimal)}${cell(counts.check)}`)
  }
  console.log(`${"all".padEnd(48)}${cell(total.required)}${cell(total.optimal)}${cell(total.check)}`)
  for (const line of wrong) console.log(line)
  console.log(wrong.length === 0 ? "every case is as expected" : `${wrong.length} cases are not as expected`)
  if (only === undefined && wrong.length > 0) process.exitCode = 1
} finally {
  for (const child of children) child.kill()
}
