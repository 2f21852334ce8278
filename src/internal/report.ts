/** What clients are told of an answer: `Cache-Control`, `Vary`, `Cache-Status`. */
import * as CacheControl from "../protocol/CacheControl.js"
import type { CacheKey } from "../protocol/CacheKey.js"
import * as CacheStatus from "../protocol/CacheStatus.js"
import * as Fields from "../protocol/Fields.js"
import * as NoVarySearch from "../protocol/NoVarySearch.js"
import * as Vary from "../protocol/Vary.js"
import type { Policy } from "./options.js"

interface Place {
  readonly policy: Policy<unknown>
  readonly key: CacheKey
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
  // Our freshness counts from now.
  if (answer.expires && outcome._tag === "Forwarded") delete fields["age"]
  set(fields, "cache-control", CacheControl.forClients(Fields.get(fields, "cache-control"), policy, answer))
  set(fields, "vary", Vary.told(Fields.get(fields, "vary"), policy.vary))
  if (Fields.get(fields, "no-vary-search") === undefined) {
    set(fields, "no-vary-search", NoVarySearch.told(policy.query))
  }
  tellStatus(fields, place, outcome)
}
