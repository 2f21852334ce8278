/** A handler with a cache against the same handler without one, in one process: no port, no other runtime. */
import { compare, type Contender, type Effort, type Response, warm, withRuntime } from "./meter.js"
import { at, type Kind, requesting } from "./requests.js"
import { head, type Limit, type Results } from "./table.js"
import { busyFor } from "./work.js"

interface Case extends Kind {
  readonly name: string
  readonly limit: Limit
}

const kibibyte = 1024
const one = () => at("/items/1")
const another = (count: number) => at(`/items/${count}`)

const hit = { status: 200, says: /; hit; ttl=\d/, runs: false }
const missed = { status: 200, says: /; fwd=uri-miss; stored/, runs: true }

const cases = (): ReadonlyArray<Case> => [
  {
    name: "control: without a cache",
    limit: { about: 1 },
    bytes: kibibyte,
    uriOf: one,
    expects: { status: 200, says: undefined, runs: true }
  },
  { name: "hit, 1 KiB", limit: { most: 1.7 }, options: { expiry: 600 }, bytes: kibibyte, uriOf: one, expects: hit },
  {
    name: "304 to If-None-Match",
    limit: { most: 1.8 },
    options: { expiry: 600 },
    bytes: kibibyte,
    uriOf: one,
    fieldsOf: ({ headers }) => ({ "if-none-match": headers["etag"]! }),
    expects: { ...hit, status: 304 }
  },
  {
    name: "hit, 64 KiB",
    limit: { most: 1.8 },
    options: { expiry: 600 },
    bytes: 64 * kibibyte,
    uriOf: one,
    expects: hit
  },
  {
    name: "bypass",
    limit: { most: 2 },
    options: { expiry: 600, bypass: () => true },
    bytes: kibibyte,
    uriOf: one,
    expects: { status: 200, says: /; fwd=bypass$/, runs: true }
  },
  {
    name: "uncacheable: no expiry, and no freshness stated",
    limit: { most: 3 },
    options: {},
    bytes: kibibyte,
    uriOf: one,
    expects: { status: 200, says: /; fwd=uri-miss$/, runs: true }
  },
  {
    name: "miss of a new URI",
    limit: { most: 7 },
    options: { expiry: 600 },
    bytes: kibibyte,
    uriOf: another,
    expects: missed
  },
  {
    name: "stale without a validator, answered in full",
    limit: { most: 7 },
    options: { expiry: 0, retain: 600, etag: "none" },
    bytes: kibibyte,
    uriOf: one,
    expects: { status: 200, says: /; fwd=stale; stored/, runs: true }
  },
  {
    name: "miss of a new URI, 200 µs of work in both handlers",
    limit: { most: 1.4 },
    options: { expiry: 600 },
    bytes: kibibyte,
    uriOf: another,
    work: busyFor(200),
    expects: missed
  }
]

/** The same requests and the same handler without a cache. */
const plainOf = (kind: Kind): Kind => ({
  ...kind,
  options: undefined,
  expects: { status: 200, says: undefined, runs: true }
})

const both = async <A>(
  kind: Kind,
  use: (contender: Contender<Response>, baseline: Contender<Response>) => Promise<A>
): Promise<A> =>
  withRuntime(async (fork) => {
    const contender = await requesting(fork, kind)
    return use(contender, await requesting(fork, plainOf(kind), contender.fields))
  })

/** `warmUp`: milliseconds that each case runs before the first is measured, so that the compiler has seen them all. */
export const inProcess = async (results: Results, effort: Effort, warmUp: number): Promise<void> => {
  const all = cases()
  for (const kind of all) {
    // What is wrong with it is said where it is measured.
    await both(kind, (contender) => warm(contender, warmUp)).catch(() => undefined)
  }
  head("in process: processor time by that without a cache")
  for (const kind of all) {
    await results.row(
      kind.name,
      kind.limit,
      () => both(kind, (contender, baseline) => compare(contender, baseline, effort))
    )
  }
}
