/** What clients are told of a response: `Cache-Control`, `Vary`, `No-Vary-Search`. */
import * as CacheControl from "./CacheControl.js"
import type { QuerySelection } from "./CacheKey.js"
import * as Fields from "./Fields.js"
import * as NoVarySearch from "./NoVarySearch.js"
import type { Reads } from "./Reads.js"
import * as Vary from "./Vary.js"

export interface Policy extends CacheControl.Advice {
  readonly vary: Vary.Vary
  readonly query: QuerySelection
  readonly isPartitioned: boolean
}

/** The fields that say whose response it is; `undefined` where something says so that is no field. */
const namingPartition = (policy: Policy, reads: Reads | undefined): Vary.Vary | undefined => {
  if (!policy.isPartitioned) return []
  if (reads === undefined || reads.unnameable.size > 0 || reads.count === 0) return undefined
  // A browser keeps what it has by host.
  return Vary.of([...reads.fields, ...reads.credentials].filter((name) => name !== "host"))
}

const set = (fields: { [name: string]: string }, name: string, value: string | undefined): void => {
  if (value !== undefined) fields[name] = value
}

/** Adds what clients are told. `identifying`: what the route's `partition` read of the request. */
export const tell = (
  fields: { [name: string]: string },
  policy: Policy,
  told: CacheControl.Told,
  identifying: Reads | undefined
): void => {
  const naming = namingPartition(policy, identifying)
  // What a browser can't tell apart by user it asks for each time.
  const advice = naming === undefined ? { ...policy, clients: "revalidate" } as const : policy
  set(fields, "cache-control", CacheControl.forClients(Fields.get(fields, "cache-control"), advice, told))
  Vary.add(fields, Vary.union(policy.vary, naming ?? []))
  if (Fields.get(fields, "no-vary-search") === undefined) {
    set(fields, "no-vary-search", NoVarySearch.told(policy.query))
  }
}

/** What a cache beneath has told stays; only that the response is private is added, and what was read between. */
export const tellPrivate = (
  fields: { [name: string]: string },
  policy: Policy,
  told: CacheControl.Told
): void => {
  if (!told.private) return
  const own = Fields.get(fields, "cache-control")
  set(fields, "cache-control", CacheControl.forClients(own, policy, { ...told, expires: false }))
}

/** The fields that `tellPrivate` and a nomination may have changed. */
export const changed = (fields: Fields.Fields): Fields.Fields => Fields.only(fields, ["cache-control", "vary"])
