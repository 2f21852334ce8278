/** What is kept of what a handler answered, and what is removed for it. */
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import type { CacheItem } from "../CacheItem.js"
import { CacheStorage } from "../CacheStorage.js"
import type * as CacheControl from "../protocol/CacheControl.js"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import * as Storability from "../protocol/Storability.js"
import * as Validation from "../protocol/Validation.js"
import * as serverResponse from "./serverResponse.js"
import { look, type Place, write } from "./storages.js"
import { lookupOf, type Visit } from "./visit.js"

type Exchange = Pick<
  Storability.Exchange,
  "method" | "requestTime" | "responseTime" | "setsPreResponseHandler" | "readsCredentials"
>

/** What to tell of it, and why it is not kept; an answer in full that may not be kept removes what is stale. */
export const keep = <R>(
  { asks, policy, view }: Visit<R>,
  { found, lookup, storage }: Place,
  exchange: Exchange,
  answer: serverResponse.Answer
): Effect.Effect<{ readonly told: CacheControl.Answer; readonly detail: CacheStatus.Detail | undefined }> =>
  Effect.gen(function*() {
    const cookies = serverResponse.cookieLines(answer)
    const content = serverResponse.bytes(answer)
    const storability = Storability.decide({
      ...exchange,
      request: view.fields,
      requestNoStore: asks.noStore,
      partition: lookup.partition,
      status: answer.status,
      response: answer.fields,
      setsCookies: policy.cookies === "refuse" && cookies.length > 0,
      bodyBytes: content?.byteLength,
      hasWhole: found.item !== undefined && found.item.range === undefined
    }, policy)
    const told = storability.answer
    if (storability._tag === "Refuse" || content === undefined) {
      const detail = storability._tag === "Refuse" ? storability.detail : "not-bytes"
      if (found.item !== undefined && Validation.supersedes(exchange.method, answer.status)) {
        yield* write(storage, { ...found.item, replaces: found.item.id, retainUntil: 0 }, lookup)
      }
      return { told, detail }
    }
    if (found.fence === undefined) return { told, detail: "storage" as const }
    const item: CacheItem = {
      ...storability.kept,
      ...(found.item === undefined ? {} : { replaces: found.item.id }),
      id: randomUUID(),
      fence: found.fence,
      key: lookup.key,
      partition: lookup.partition,
      variant: lookup.variantOf(storability.kept.vary),
      cookies: policy.cookies === "store" ? cookies : [],
      body: serverResponse.copy(content)
    }
    return { told, detail: yield* write(storage, item, lookup) }
  })

/** What a `HEAD` says of the stored response to `GET` (RFC 9111 §4.3.5). */
export const freshenByHead = <R>(
  here: Visit<R>,
  place: Place,
  exchange: Exchange,
  head: serverResponse.Answer
): Effect.Effect<unknown> => {
  const { item } = place.found
  if (item === undefined || item.range !== undefined || head.status !== 200) return Effect.void
  return Validation.headIsAbout(item.headers, head.fields)
    ? keep(here, place, { ...exchange, method: "GET" }, serverResponse.freshened(item, head))
    : write(place.storage, { ...item, replaces: item.id, retainUntil: 0 }, place.lookup)
}

/** A `POST` may answer later requests with `GET`, where it says so (RFC 9110 §9.3.3) and the origin's fields decide. */
export const keepForGet = <R>(
  here: Visit<R>,
  response: HttpServerResponse
): Effect.Effect<unknown, never, CacheStorage> => {
  const { policy, view } = here
  if (policy.expiry !== undefined || policy.partition !== undefined || policy.enabled !== undefined) return Effect.void
  if (!Storability.answersGet(view.method, view.target, response.status, response.headers)) return Effect.void
  return Effect.gen(function*() {
    const place = yield* look(yield* CacheStorage, lookupOf(here, ""))
    const now = yield* Clock.currentTimeMillis
    const exchange = { requestTime: now, responseTime: now, setsPreResponseHandler: false, readsCredentials: false }
    yield* keep(here, place, { ...exchange, method: "GET" }, serverResponse.fromHandler(response, "GET", policy, now))
  })
}
