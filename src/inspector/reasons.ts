/** Why requests go to the handler, with the sentence that says what to do about it. */
import * as CacheStatus from "../protocol/CacheStatus.js"
import { reasons } from "../protocol/Explaining.js"
import type { Row } from "./observation.js"

/** What to do about a reason, where something can be done. */
const advice: { readonly [Reason in CacheStatus.ForwardReason]?: string } = {
  "uri-miss":
    "That is so once for each URI; where it is often, the URIs are too many, as with search parameters that change " +
    "nothing (name those that count with query), or expiry is too short",
  "vary-miss": "Read, or name with vary, fewer fields, or those of which there are few values",
  "stale":
    "A longer expiry makes these hits, and so does a window in which what is stale is served while it is refreshed",
  "request": "requestDirectives: \"ignore\" does not obey clients",
  "miss": "The log says why"
}

/** What to do where a response is not stored. */
const remedies: { readonly [Detail in CacheStatus.Detail]?: string } = {
  "authorization": "name the user with partition, or let the response say public",
  "cookies": "set cookies elsewhere, or strip them with cookies: \"strip\"",
  "credentials": "name the user with partition",
  "no-freshness": "give the route an expiry, or let the handler state one in Cache-Control",
  "no-store": "let the handler leave it out, where the response may be kept",
  "pre-response-handler": "put the cache further in",
  "private": "name the user with partition",
  "storage": "see the log",
  "too-large": "raise maxBodyBytes, where there is memory for it",
  "unkeyed": "read single fields, or name them with vary",
  "unsendable": "encode what the handler puts there, as with encodeURIComponent",
  "vary": "let the handler name the fields that it goes by"
}

export const sentence = (reason: CacheStatus.ForwardReason, detail: CacheStatus.Detail | undefined): string => {
  if (detail === undefined) {
    const text = reasons[reason]
    const meaning = `${text[0]!.toUpperCase()}${text.slice(1)}.`
    return advice[reason] === undefined ? meaning : `${meaning} ${advice[reason]}.`
  }
  const remedy = remedies[detail]
  return `Not stored: ${CacheStatus.details[detail]}${remedy === undefined ? "" : `; ${remedy}`}.`
}

/** As many values of a field may be nothing but a beginning. */
const fewValues = 8

/** URIs that are stored under more values of request fields than they are answered from the cache, the worst first. */
export const varying = (rows: ReadonlyArray<Row>): ReadonlyArray<Row> =>
  rows.filter(({ counts, values }) => values >= fewValues && counts.hit + counts.stale < values)
    .sort((one, other) => other.values - one.values)
