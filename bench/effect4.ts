/**
 * A plain route, a hit and a miss on Effect 4 and on Effect 3, all in one process: `npm run bench:effect4`. The files of this
 * folder are there twice, each with the library for its Effect.
 */
import type * as Meter from "./meter.js"
import { compare, type Contender, type Effort, type Response } from "./meter.js"
import type * as Requests from "./requests.js"
import { at, type Kind } from "./requests.js"
import { head, Results } from "./table.js"

const generated = "../effect4/generated/bench"
const load = async (folder: string) => ({
  ...await import(`${folder}/meter.js`) as typeof Meter,
  ...await import(`${folder}/requests.js`) as typeof Requests
})
const effect3 = await load(".")
const effect4 = await load(generated)

const effort: Effort = { warmUp: 800, window: 60, rounds: 9, fewest: 5, seconds: 4 }
const bytes = 1024
const stored = { expiry: 600 }

const plain: Kind = { bytes, uriOf: () => at("/items/1"), expects: { status: 200, says: undefined, runs: true } }
const plainMiss: Kind = { ...plain, uriOf: (count) => at(`/items/${count}`) }
const hit: Kind = { ...plain, options: stored, expects: { status: 200, says: /; hit; ttl=\d/, runs: false } }
const miss: Kind = {
  ...plainMiss,
  options: stored,
  expects: { status: 200, says: /; fwd=uri-miss; stored/, runs: true }
}

type Major = typeof effect3
type Use<A> = (contender: Contender<Response>) => Promise<A>

const within = <A>({ requesting, withRuntime }: Major, kind: Kind, use: Use<A>): Promise<A> =>
  withRuntime(async (fork) => use(await requesting(fork, kind)))

const ratios = (one: Major, kind: Kind, other: Major, baseline: Kind) => () =>
  within(one, kind, (contender) => within(other, baseline, (baseline) => compare(contender, baseline, effort)))

console.log(`Node ${process.version}`)
const results = new Results()
head("processor time by that of a plain route of the same Effect")
// A plain route takes hardly a step on Effect 4, so that a cache is much more by it.
for (
  const [name, major, mostOfHit, mostOfMiss] of [["Effect 3", effect3, 1.7, 7], ["Effect 4", effect4, 5, 80]] as const
) {
  await results.row(`${name}: control, a plain route`, { about: 1 }, ratios(major, plain, major, plain))
  await results.row(`${name}: hit, 1 KiB`, { most: mostOfHit }, ratios(major, hit, major, plain))
  await results.row(`${name}: miss of a new URI, 1 KiB`, { most: mostOfMiss }, ratios(major, miss, major, plainMiss))
}
head("processor time on Effect 4 by that on Effect 3")
await results.row("plain route", { most: 1 }, ratios(effect4, plain, effect3, plain))
await results.row("hit, 1 KiB", { most: 1 }, ratios(effect4, hit, effect3, hit))
await results.row("miss of a new URI, 1 KiB", { most: 1 }, ratios(effect4, miss, effect3, miss))
if (results.failed > 0) process.exitCode = 1
