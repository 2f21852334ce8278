/** Ours and `http-cache-semantics` as shared caches: they disagree only where a rule of RFC 9110 or 9111 explains it. */
import { expect, it } from "@effect/vitest"
import { generate, type List, type Pair, seed } from "./differential/pairs.js"
import { explain, members, nameOf, type Part, parts, qualified, rules } from "./differential/rules.js"
import { ours, theirs } from "./differential/verdicts.js"

const pairs = 10_000

const directivesOf = (pair: Pair) => (part: Part): List =>
  members(pair[part]["cache-control"]).map((text) =>
    `${part} ${nameOf(text)}${qualified.test(text) ? "=\"field\"" : /^max-stale=/i.test(text) ? "=n" : ""}`
  )

const requestNames = "max-age|min-fresh|max-stale|max-stale=n|no-cache|no-store|only-if-cached|no-transform".split("|")
const responseNames =
  ("max-age|s-maxage|no-cache|no-cache=\"field\"|no-store|private|private=\"field\"|must-revalidate|" +
    "proxy-revalidate|public|must-understand|immutable|no-transform|stale-while-revalidate|stale-if-error").split("|")

it(`ours and http-cache-semantics disagree only where a rule says so, DIFFERENTIAL_SEED=${seed}`, () => {
  const counts = new Map(Object.keys(rules).map((because) => [because, 0]))
  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1)
  const percent = (name: string) => (counts.get(name) ?? 0) / pairs * 100
  const unexplained: Array<unknown> = []
  for (const pair of Array.from({ length: pairs }, generate)) {
    const verdicts = `ours ${ours(pair)}, theirs ${theirs(pair)}`
    const because = explain(pair)
    if (because === undefined) unexplained.push({ verdicts, ...pair })
    for (const name of new Set([verdicts, ...parts.flatMap(directivesOf(pair)), ...because ?? []])) count(name)
  }
  const lines = [...counts.keys()].sort().map((name) => `${percent(name).toFixed(2).padStart(6)} %  ${name}`)
  process.stdout.write(`${lines.join("\n")}\n`)
  expect(unexplained.slice(0, 3)).toEqual([])
  expect(Object.keys(rules).filter((because) => percent(because) === 0)).toEqual([])
  expect(requestNames.filter((name) => percent(`request ${name}`) < 1 || percent(`nextRequest ${name}`) < 1)).toEqual(
    []
  )
  expect(responseNames.filter((name) => percent(`response ${name}`) < 1)).toEqual([])
  expect(percent("ours reusable, theirs reusable"), "reusable, and so storable").toBeGreaterThanOrEqual(20)
}, 60_000)
