/** Requests that are alike: where the response to one could not be shared, the others don't wait for each other. */
import * as notes from "../home/notes.js"
import * as Fields from "../protocol/Fields.js"
import * as Vary from "../protocol/Vary.js"
import type { Place } from "./storages.js"
import type { Visit } from "./visit.js"

/** The variant that is asked for, as far as it is known what selects it. */
export const variantOf = <R>({ policy }: Visit<R>, { found, lookup, storage }: Place): string =>
  lookup.variantOf(Vary.union(policy.vary, found.item?.vary ?? notes.nominated(storage, lookup)))

/** Who sends one of these decides only for such. */
const apart = ["authorization", "range"]

export const groupOf = <R>(here: Visit<R>, place: Place): string => {
  const { key, partition } = place.lookup
  const sends = apart.map((name) => Fields.get(here.view.fields, name) !== undefined)
  return JSON.stringify([key, here.cache, partition, variantOf(here, place), ...sends])
}
