/** What clients are told of an answer: `Cache-Control`, `Vary`, `Cache-Status`. */
import * as CacheControl from "../protocol/CacheControl.js"
import type { CacheKey } from "../protocol/CacheKey.js"
import * as CacheStatus from "../protocol/CacheStatus.js"
import * as Fields from "../protocol/Fields.js"
import * as NoVarySearch from "../protocol/NoVarySearch.js"
import * as Vary from "../protocol/Vary.js"
import type { Policy } from "./options.js"
import type { Identity } from "./visit.js"

interface Place {
  readonly policy: Policy<unknown>
  readonly key: CacheKey
  readonly identity: Identity
}

/** The fields that say whose response it is; `undefined` where something says so that is no field. */
const namingPartition = ({ policy, identity: { reads } }: Place): Vary.Vary | undefined => {
  if (policy.partition === undefined) return []
  if (reads === undefined || reads.unnameable.size > 0 || reads.count === 0) return undefined
  // A browser keeps what it has by host.
  return Vary.of([...reads.fields, ...reads.credentials].filter((name) => name !== "host"))
}

const set = (fields: { [name: string]: string }, name: string, value: string | undefined): void => {
  if (value !== undefined) fields[name] = value
}

export const tellStatus = (
  fields: { [name: string]: string },
  { key, policy }: Place,
  outcome: CacheStatus.Outcome
): void => {
  if (policy.cacheStatus === undefined) return
  fields["cache-status"] = CacheStatus.append(fields, outcome, policy.cacheStatus, key)
}

export const tell = (
  fields: { [name: string]: string },
  place: Place,
  answer: CacheControl.Answer,
  outcome: CacheStatus.Outcome
): void => {
  const { policy } = place
  const naming = namingPartition(place)
  // What a browser can't tell apart by user it asks for each time.
  const advice = naming === undefined ? { ...policy, clients: "revalidate" } as const : policy
  set(fields, "cache-control", CacheControl.forClients(Fields.get(fields, "cache-control"), advice, answer))
  set(fields, "vary", Vary.told(Fields.get(fields, "vary"), Vary.union(policy.vary, naming ?? [])))
  if (Fields.get(fields, "no-vary-search") === undefined) {
    set(fields, "no-vary-search", NoVarySearch.told(policy.query))
  }
  tellStatus(fields, place, outcome)
}
