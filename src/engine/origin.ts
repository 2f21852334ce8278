/**
 * What a binding provides of one request: who asks, who answers, and how a response is made. `server/` is the binding to
 * `@effect/platform`'s server; another one needs no change in `engine/`.
 */
import type * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import type * as CacheStorage from "../CacheStorage.js"
import type { Said } from "../protocol/CacheControl.js"
import type * as CacheKey from "../protocol/CacheKey.js"
import type * as Fields from "../protocol/Fields.js"
import type * as Range from "../protocol/Range.js"
import type { Reads } from "../protocol/Reads.js"
import type * as Vary from "../protocol/Vary.js"
import type { Trace } from "../runtime/trace.js"
import type { Body } from "./body.js"

/** The request as key, variant and handler have it: all three are made of this value. */
export interface View {
  readonly method: string
  /**
   * The end-to-end fields, without those that `Connection` lists. Preferences are in their one spelling, and what the route
   * normalises is normalised. `host` is that of the key. Where a canonical origin takes the place of that in the key, `host` is
   * what the request names, lower-case and without a default port.
   */
  readonly fields: Fields.Fields
  /** `If-None-Match`, or `""` where there is no condition; `undefined`: there is another one, or it asks for a range. */
  readonly condition: string | undefined
  /** A normaliser of the route has failed: `fields` has what came. */
  readonly isUnnormalised: boolean
  readonly target: CacheKey.Target
  /** What the request says of scheme and host, also where a canonical origin takes the place of that. */
  readonly ownOrigin: string
  /** The path and query that a router beneath goes by: those of the target, of a mount, or of a middleware that rewrites. */
  readonly url: string
  readonly isRewritten: boolean
  readonly hasBody: boolean
  /** A handler may take it for a request to another target. */
  readonly isAmbiguous: boolean
  readonly asksToUpgrade: boolean
}

/** One run of a handler beneath a cache, and what was said to the cache in it. */
export interface Run extends Said {
  /** How many caches are above that of this run; -1 outside of all. */
  readonly depth: number
  readonly above?: Run
  /** That of its request. */
  readonly origin: string
  /** Fields that are asked of its own response, such as `If-None-Match` of its cache: caches beneath do not see them. */
  question?: Fields.Fields | undefined
  /** With what a cache beneath has answered. */
  answeredWith?: unknown
  /** It is not to be stored. */
  isRefused?: boolean
  /** A cache beneath has answered by the client's range, conditions or directives: that is no part of what others are answered. */
  isForThisClient?: boolean
  /** Milliseconds. */
  expiry?: number
  /** The groups that it is of, by name. */
  groups?: Set<string>
  /** It is of a group that has no name: it can't be collected, and is not to be stored. */
  isUngrouped?: boolean
  /** The partitions of the private answers of caches beneath; `""` stands for one without a partition. */
  readonly personal: Set<string>
  /** The fill of a `POST` whose response may be stored for `GET`. */
  ownFill?: OwnFill | undefined
}

/** The fill of a `POST`, which the collects of its own run do not overtake. */
export interface OwnFill {
  readonly storage: CacheStorage.Service
  readonly key: CacheKey.CacheKey
  /** `undefined`: another collect has overtaken it, or nobody can tell. */
  fill: CacheStorage.Fill | undefined
}

/** The `Set-Cookie` lines of a response, and what the binding knows them by, where they came from the handler. */
export interface SetCookies {
  readonly lines: ReadonlyArray<string>
  readonly native?: unknown
}

export const noCookies: SetCookies = { lines: [] }

export const cookiesOf = (lines: ReadonlyArray<string>): SetCookies => lines.length === 0 ? noCookies : { lines }

/** A response on its way to the client. Its fields are its own and may be changed. */
export interface Answer {
  readonly status: number
  readonly statusText: string | undefined
  readonly fields: { [name: string]: string }
  readonly cookies: SetCookies
  readonly body: Body
  /** The content is that of a storage: nobody writes into it. */
  readonly isStored: boolean
  /** Which bytes of the whole the content is, where a part is stored. */
  readonly range?: Range.Extent | undefined
}

/** What a run of the handler came to, and what it looked at. */
export interface Ran<Res> {
  /** As the handler answered it. */
  readonly response: Res
  /** A cache beneath has answered. */
  readonly isFromBeneath: boolean
  /** The client has it already. */
  readonly isSent: boolean
  /** Goes on for as long as the handler says more. */
  readonly said: Run
  /** Goes on for as long as the handler reads. */
  readonly reads: Reads | undefined
  readonly setsPreResponseHandler: boolean
  /** Epoch milliseconds. */
  readonly responseTime: number
}

/** What a handler answered, as the engine has it. */
export class Handled<Res> implements Ran<Res> {
  readonly response: Res
  readonly isFromBeneath: boolean
  readonly isSent: boolean
  readonly said: Run
  readonly reads: Reads | undefined
  readonly setsPreResponseHandler: boolean
  readonly responseTime: number
  readonly answer: Answer
  /** The request fields that the handler was shown. */
  readonly shown: Fields.Fields

  constructor(ran: Ran<Res>, answer: Answer, shown: Fields.Fields) {
    this.response = ran.response
    this.isFromBeneath = ran.isFromBeneath
    this.isSent = ran.isSent
    this.said = ran.said
    this.reads = ran.reads
    this.setsPreResponseHandler = ran.setsPreResponseHandler
    this.responseTime = ran.responseTime
    this.answer = answer
    this.shown = shown
  }
}

/** What a handler answered to a request that passes by. */
export interface Passed<Res> {
  readonly ran: Pick<Ran<Res>, "response" | "isFromBeneath" | "isSent" | "said" | "setsPreResponseHandler">
  /** The request fields that the handler was shown, and the target. */
  readonly shown: Fields.Fields
  readonly target: string
  readonly fields: Fields.Fields
  readonly answer: () => Answer
  /** The response with these fields too, and with a body that breaks off where it fails. */
  readonly send: (fields: Fields.Fields) => Res
}

/** What a client is sent: `fields` may be those of many responses, and are not changed; `own` are this one's. */
export interface Outgoing {
  readonly status: number
  readonly statusText?: string | undefined
  readonly fields: Fields.Fields
  readonly own: Fields.Fields
  readonly cookies: SetCookies
  readonly body: Body
  /** Others are sent the same. */
  readonly isForMany?: boolean
}

/** Whose response is wanted, and what says so. */
export interface Identity {
  /** `""`: nobody's. */
  readonly partition: string
  /** What the route's `partition` read of the request; `undefined` where the route has none. */
  readonly reads: Reads | undefined
}

/** What answered: `handler` is a route, or what is cached; `place` tells the routes within it apart. */
export interface Route {
  readonly handler: object
  readonly place: string
}

export interface Origin<Res, E, R> {
  readonly view: View
  /** The span of the client's that the request says it is of, and the one that the request is answered in. */
  readonly asker: Trace | undefined
  readonly span: Tracer.AnySpan | undefined
  /** The route's `bypass` says so, or the binding can't cache what its handler answers. */
  readonly isBypassed: boolean
  /** Whose response is wanted; `undefined` where that can't be told. */
  readonly identify: Effect.Effect<Identity | undefined, never, R>
  /** The request and its content, which the handler reads again; `undefined` where that is long, or its length isn't said. */
  readonly readContent: Effect.Effect<
    { readonly origin: Origin<Res, E, R>; readonly content: Uint8Array } | undefined
  >
  /** Runs the handler, which is shown these fields. */
  readonly ask: (
    fields: Fields.Fields,
    /** Called with what the handler read, and what was said, where it fails. */
    onFailure: (reads: Reads | undefined, said: Run) => void,
    /** Which of the fields are not asked of the parts of a page. */
    question: Fields.Fields | undefined
  ) => Effect.Effect<Handled<Res>, E, R>
  /** Runs the handler with the request as it is. */
  readonly pass: (
    onFailure: (cause: Cause.Cause<E>) => Effect.Effect<void>,
    /** Of an unsafe method whose response may be stored for `GET`. */
    ownFill: OwnFill | undefined
  ) => Effect.Effect<Passed<Res>, E, R>
  /** The same request with these fields and no others, from nowhere. */
  readonly forNobody: (fields: Fields.Fields) => Origin<Res, E, R>
  /** Records these fields as read, for a cache above: the handler that is not run would have read them. */
  readonly countAsRead: (names: Vary.Vary) => void
  readonly respond: (outgoing: Outgoing) => Res
  /** A response of the handler's, or of a cache beneath, with these fields instead of its own of the same names. */
  readonly amend: (response: Res, fields: Fields.Fields) => Res
  /** The status that a failure is answered with further outside. */
  readonly statusOf: (cause: Cause.Cause<E>) => Effect.Effect<number>
  /**
   * Adds the fields that `say` makes to the response that is made of a failure further outside, and runs `report`. A cache
   * beneath may have done both: then this does nothing.
   */
  readonly tellOfFailure: (
    cause: Cause.Cause<E>,
    say: (fields: { [name: string]: string }) => void,
    report: () => void
  ) => Effect.Effect<void>
  /** The pattern of the route, where there is one: `/users/:id`. */
  readonly pattern: string | undefined
  /** What answers the request, once the handler has. */
  readonly route: Route
  /** It runs within another cache's handler, which needs the content for `HEAD` too. */
  readonly isNested: boolean
  /** Breaks the client's connection. */
  readonly breakConnection: () => void
  /** Whether a request that was interrupted so was left by its client. */
  readonly isClientGone: (cause: Cause.Cause<unknown>) => boolean
}
