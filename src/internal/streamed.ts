/** A streamed body that may be kept: it is sent while it comes, and stored once it has come whole. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { CacheItem } from "../CacheItem.js"
import * as Fields from "../protocol/Fields.js"
import type { Asked } from "./asking.js"
import * as Body from "./body.js"
import { Fill } from "./fill.js"
import { goingOn } from "./handler.js"
import { type Exchange, forget, judge, store, tooLarge } from "./keeping.js"
import * as recorder from "./recorder.js"
import { entityTag, lengthOf } from "./serverResponse.js"
import type { Place } from "./storages.js"
import type { Visit } from "./visit.js"
import { readsLate, type Route, warn } from "./warning.js"

export interface Streamed<RP> {
  readonly here: Visit<RP>
  readonly place: Place
  readonly asked: Asked
  readonly exchange: Exchange
  /** What is kept of it, without content. */
  readonly item: CacheItem
  readonly stream: Body.ByteStream
  readonly route: Route
  readonly land: (fill: Fill) => Effect.Effect<void>
  /** Ends the flight. */
  readonly end: Effect.Effect<unknown>
  /** It turned out that it can't be shared. */
  readonly unshare: () => void
}

/** A stored stream has the length and the tag that it could not have while it was one. */
const withContent = (item: CacheItem, body: Uint8Array, etag: "strong" | "weak" | "none"): CacheItem => {
  const headers = { ...item.headers, "content-length": String(body.byteLength) }
  const isTagged = item.status !== 200 || etag === "none" || Fields.get(headers, "etag") !== undefined
  return { ...item, body, headers: isTagged ? headers : { ...headers, etag: entityTag(headers, body, etag) } }
}

/** Lands with who may read it; ends when it is stored, or can't be. */
export const streamed = <RP>(given: Streamed<RP>): Effect.Effect<void> => {
  const { asked, end, here: { policy: { maxBodyBytes: limit } }, land, place: { storage } } = given
  const length = lengthOf(asked.answer)
  return Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const fill = new Fill({ storage, limit, length, end, onTooLarge: tooLarge(storage) })
      const landed = Effect.onInterrupt(land(fill), () => fill.first.decline)
      // Whoever waits for it is told, also where it ends before it is pulled.
      return Effect.onExit(restore(Effect.zipRight(landed, pump(given, fill, length))), (exit) => fill.close(exit))
    })
  )
}

const pump = <RP>(
  { asked, exchange, here, item, place, route, stream, unshare }: Streamed<RP>,
  fill: Fill,
  length: number | undefined
): Effect.Effect<void> => {
  const { deadline, etag, unkeyed } = here.policy
  const { lookup } = place
  const reads = asked.reads?.count
  // The head has gone out: what no longer holds breaks off, for all who get it, and this route's streams are for nobody else.
  const changed = Effect.gen(function*() {
    if (asked.said.isRefused !== true) {
      const judged = yield* judge(here, place, exchange, asked.answer)
      const isNamed = unkeyed !== "vary" ||
        recorder.unkeyedFields(asked.reads, here.policy, item.headers).length === 0
      if (judged.item !== undefined && isNamed) return
    }
    readsLate(route)
    yield* warn(route.handler, lookup.key, "unkeyed", [recorder.late])
    unshare()
    yield* forget(place)
    return yield* Effect.fail(new Error("the body read what selects it, or was refused, after its head had gone out"))
  })
  const holds = Effect.suspend(() =>
    asked.said.isRefused !== true && asked.reads?.count === reads ? Effect.void : changed
  )
  const atEnd = Effect.gen(function*() {
    yield* holds
    if (fill.isWhole) return yield* store(place, withContent(item, fill.takeBytes(), etag))
    if (fill.isTooLarge) unshare()
    return yield* forget(place)
  })
  const source = Body.measured(goingOn(stream, asked), length)
  return fill.pump(Stream.tap(source, () => holds), atEnd, deadline)
}
