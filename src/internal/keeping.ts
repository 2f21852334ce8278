/** What is kept of what a handler answered, and what is removed for it. */
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { randomUUID } from "node:crypto"
import type { CacheItem } from "../CacheItem.js"
import { CacheStorage } from "../CacheStorage.js"
import { limitReached } from "../home/limits.js"
import * as notes from "../home/notes.js"
import type * as CacheControl from "../protocol/CacheControl.js"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import * as Fields from "../protocol/Fields.js"
import * as Storability from "../protocol/Storability.js"
import * as Validation from "../protocol/Validation.js"
import * as Vary from "../protocol/Vary.js"
import * as Body from "./body.js"
import { isPersonal, type Run } from "./enclosing.js"
import type { Answered } from "./handler.js"
import * as recorder from "./recorder.js"
import * as serverResponse from "./serverResponse.js"
import { look, type Place, watching, write } from "./storages.js"
import { accepts, lookupOf, type Visit } from "./visit.js"

export type Exchange =
  & Pick<Storability.Exchange, "method" | "requestTime" | "responseTime" | "setsPreResponseHandler">
  & Pick<Answered, "reads">
  & {
    /** What the handler said, also through caches beneath; `undefined` where none heard it. */
    readonly said: Run | undefined
    /** The request fields that it was shown. */
    readonly shown: Fields.Fields
    /** More may be read while the body is sent. */
    readonly readsLate: boolean
  }

export interface Judged {
  readonly told: CacheControl.Answer
  readonly isPersonal: boolean
  /** Why it may not be kept. */
  readonly detail?: CacheStatus.Detail | undefined
  /** What may be kept; without content while that is a stream. */
  readonly item?: CacheItem | undefined
  /** What was read that is why: fields, or in words. */
  readonly unkeyed: ReadonlyArray<string>
}

/** May it be kept? */
export const judge = <R>(
  { asks, cache, policy, view }: Visit<R>,
  { found, lookup, storage }: Place,
  exchange: Exchange,
  answer: serverResponse.Answer
): Effect.Effect<Judged> =>
  Effect.flatMap(policy.jitter === 0 ? Effect.succeed(0) : Random.next, (chance): Effect.Effect<Judged> => {
    const cookies = serverResponse.cookieLines(answer)
    const content = Body.bytes(answer.body)
    const { added, credentials, unkeyed: read } = recorder.judge(exchange.reads, policy, answer.fields)
    const { partition } = lookup
    const unkeyed = exchange.readsLate ? [...read, recorder.late] : read
    const storability = Storability.decide({
      ...exchange,
      readsCredentials: credentials,
      isOfPersonal: exchange.said !== undefined && isPersonal(exchange.said, partition),
      readsUnkeyed: unkeyed.length > 0,
      request: view.fields,
      requestNoStore: asks.noStore,
      partition,
      status: answer.status,
      response: answer.fields,
      setsCookies: policy.cookies === "refuse" && cookies.length > 0,
      bodyBytes: content?.byteLength ?? serverResponse.lengthOf(answer),
      isOpaque: content === undefined && answer.body._tag !== "Stream",
      hasWhole: found.item !== undefined && found.item.range === undefined,
      chance
    }, policy)
    const judged = { told: storability.answer, isPersonal: storability.isPersonal }
    if (storability._tag === "Refuse") {
      const { detail } = storability
      return Effect.as(detail === "too-large" ? tooLarge(storage) : Effect.void, { ...judged, detail, unkeyed })
    }
    if (added.length > 0 && !notes.admits(storage, lookup.key, storability.kept.vary)) {
      return Effect.as(
        limitReached(storage, "lists of fields that were read", "and what is made of others is not stored"),
        { ...judged, detail: "unkeyed", unkeyed: added }
      )
    }
    const { kept } = storability
    if (!Vary.isSpelled(exchange.shown, kept.vary)) {
      // The next handler is shown the one spelling.
      notes.nominate(storage, lookup, kept.vary)
      return Effect.succeed({ ...judged, detail: "spelling", unkeyed: [] })
    }
    // Another user of the same browser is not shown it (RFC 9111 §4.1).
    if (partition !== "") serverResponse.nominate(answer, [...exchange.reads?.credentials ?? []])
    const item: CacheItem = {
      ...kept,
      headers: partition === "" ? kept.headers : { ...kept.headers, ...Fields.only(answer.fields, ["vary"]) },
      ...(found.item === undefined ? {} : { replaces: found.item.id }),
      id: randomUUID(),
      fence: found.fence ?? "",
      key: lookup.key,
      partition,
      cache,
      variant: lookup.variantOf(kept.vary),
      cookies: policy.cookies === "store" ? cookies : [],
      body: content !== undefined && content === found.item?.body ? content : Body.copy(content ?? new Uint8Array())
    }
    return Effect.succeed({ ...judged, item, unkeyed })
  })

/** The route's `maxBodyBytes`, or 64 KiB of fields. */
export const tooLarge = (storage: object): Effect.Effect<void> =>
  limitReached(storage, "size", "and what is larger is not stored")

/** Keeps it, or says why the storage did not. */
export const store = (place: Place, item: CacheItem): Effect.Effect<CacheStatus.Detail | undefined> =>
  place.found.fence === undefined ? Effect.succeed("storage") : write(place, item)

/** What is stored is out of date. */
export const forget = (place: Place): Effect.Effect<unknown> => {
  const { item } = place.found
  return item === undefined ? Effect.void : write(place, { ...item, replaces: item.id, retainUntil: 0 })
}

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
    : forget(place)
}

const keep = <R>(here: Visit<R>, place: Place, exchange: Exchange, answer: serverResponse.Answer) =>
  Effect.flatMap(
    judge(here, place, exchange, answer),
    ({ item }) => item === undefined ? forget(place) : store(place, item)
  )

/** Keeps what a `POST` answered: the response, and what its run said to the caches above. */
export type KeepForGet = (response: HttpServerResponse, said: Run) => Effect.Effect<void>

/**
 * A `POST` may answer later requests with `GET`, where it says so (RFC 9110 §9.3.3) and the origin's fields decide. Its key is
 * watched while `run` runs it: only the collect that is its own may lie between.
 */
export const keepingForGet = <R, A, E2, R2>(
  here: Visit<R>,
  run: (keep: KeepForGet) => Effect.Effect<A, E2, R2>
): Effect.Effect<A, E2, R2 | CacheStorage> => {
  const { key, policy, view } = here
  const isKept = view.method === "POST" && policy.expiry === undefined && policy.partition === undefined &&
    policy.enabled === undefined
  if (!isKept) return run(() => Effect.void)
  return Effect.flatMap(
    CacheStorage,
    (storage) =>
      watching(storage, key, (watch) =>
        run((response, { collected }) =>
          Effect.gen(function*() {
            if (!Storability.answersGet(view.method, view.target, response.status, response.headers)) return
            if (Body.bytes(response.body) === undefined) return
            const place = yield* look(storage, lookupOf(here), policy.storageTimeout, accepts(here))
            if (watch.collects > (collected.has(key) ? 1 : 0)) return
            const now = yield* Clock.currentTimeMillis
            const seen = { setsPreResponseHandler: false, reads: undefined, readsLate: false, said: undefined }
            // It passed by, and was shown as it was sent.
            const own = { ...seen, shown: here.request.headers, method: "GET", requestTime: now, responseTime: now }
            yield* keep(here, place, own, serverResponse.fromHandler(response, "GET", policy, now))
          })
        ))
  )
}
