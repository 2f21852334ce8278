/** The decision to answer with what is stored, with the fields of the answer: ours by that of `http-cache-semantics`. */
import { itemOf } from "effect-http-cache/testing"
import CachePolicy from "http-cache-semantics"
import type * as CacheStatusModule from "../src/protocol/CacheStatus.js"
import type * as FieldsModule from "../src/protocol/Fields.js"
import type * as AnswersModule from "../src/protocol/Answer.js"
import type * as ReuseModule from "../src/protocol/Reuse.js"
import { head, type Results } from "./table.js"

/** Calls of a window. */
const calls = 20_000

const built = <Module>(name: string) =>
  import(new URL(`../dist/protocol/${name}.js`, import.meta.url).href) as Promise<Module>

const url = "/users/1"
const asked = { "host": "localhost", "user-agent": "bench", "accept": "*/*", "accept-encoding": "gzip" }
const answered = {
  "content-type": "application/json",
  "content-length": "1024",
  "cache-control": "max-age=600",
  "etag": "\"v1\"",
  "vary": "accept-encoding"
}

/** Microseconds of processor time for a call. */
const window = (call: () => unknown): number => {
  const before = process.cpuUsage()
  let count = 0
  for (let at = 0; at < calls; at++) if (call() !== undefined) count++
  if (count !== calls) throw new Error(`it decided otherwise ${calls - count} times`)
  const { system, user } = process.cpuUsage(before)
  return (user + system) / calls
}

export const decisions = async (results: Results, rounds: number): Promise<void> => {
  const [Answers, CacheStatus, Fields, Reuse] = await Promise.all([
    built<typeof AnswersModule>("Answer"),
    built<typeof CacheStatusModule>("CacheStatus"),
    built<typeof FieldsModule>("Fields"),
    built<typeof ReuseModule>("Reuse")
  ])
  const theirs = new CachePolicy({ url, method: "GET", headers: asked }, { status: 200, headers: answered })
  const later = { url, method: "GET", headers: asked }
  const byTheirs = () => theirs.satisfiesWithoutRevalidation(later) ? theirs.responseHeaders() : undefined

  const now = Date.now()
  const item = itemOf("", undefined, {
    headers: answered,
    responseTime: now,
    lifetime: 600_000,
    retainUntil: now + 6e5
  })
  const style = { name: "effect-http-cache", detail: false, key: false }
  const byOurs = () => {
    const reuse = Reuse.decide(item, Reuse.anybody, Date.now())
    if (reuse._tag !== "Serve") return undefined
    const own = Answers.ageOf(reuse.age)
    CacheStatus.add(own, item.headers, CacheStatus.hit(reuse), style, item.key)
    return Fields.merged(item.headers, own)
  }
  head("decisions: times as fast as http-cache-semantics")
  await results.row("a fresh response with its fields", { least: 5 }, async () => {
    for (const call of [byOurs, byTheirs, byOurs, byTheirs]) window(call)
    return Array.from({ length: rounds }, () => window(byTheirs) / window(byOurs))
  })
}
