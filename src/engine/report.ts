/** The Outcome of a request, as the header that clients and operators read. */
import * as CacheStatus from "../protocol/CacheStatus.js"
import type * as Fields from "../protocol/Fields.js"
import type { Asked } from "./request.js"

/** What the cache answers and what it did for it: each log, span and metric is made of the outcome. */
export interface Answered<Res> {
  readonly response: Res
  /** `undefined` where the response had been sent before the cache saw it. */
  readonly outcome: CacheStatus.Outcome | undefined
}

/** Adds our member to the `Cache-Status` of `response`, in `fields`. */
export const tellStatus = (
  fields: { [name: string]: string },
  { key, policy: { cacheStatus } }: Pick<Asked, "key" | "policy">,
  outcome: CacheStatus.Outcome,
  response: Fields.Fields = fields
): void => {
  if (cacheStatus !== undefined) CacheStatus.add(fields, response, outcome, cacheStatus, key)
}
