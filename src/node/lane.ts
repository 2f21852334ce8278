/** Answers fresh hits of what it has seen before, with the same decisions as a route, and refuses all else. */
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import type * as Headers from "@effect/platform/Headers"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type * as Http from "node:http"
import type { CacheItem } from "../CacheItem.js"
import { freshAtOnce, hitAtOnce } from "../engine/handle.js"
import type { Outgoing, View } from "../engine/origin.js"
import { type Answering, type Asked, lookupOf } from "../engine/request.js"
import { report, type Reported } from "../engine/report.js"
import type { Policy } from "../policy/policy.js"
import * as CacheControl from "../protocol/CacheControl.js"
import * as Fields from "../protocol/Fields.js"
import * as Preconditions from "../protocol/Preconditions.js"
import type * as Reuse from "../protocol/Reuse.js"
import * as Vary from "../protocol/Vary.js"
import { spanned } from "../runtime/effect.js"
import * as metrics from "../runtime/metrics.js"
import { comesBy } from "../server/lane.js"
import { fieldsOf, isLengthUnsaid } from "../server/request.js"
import { messageOf, write } from "../server/write.js"
import { Learnt } from "./learnt.js"

/** Who sends one of these asks for more than a fresh response. */
const unusual = [
  "authorization",
  "expect",
  "if-match",
  "if-range",
  "if-unmodified-since",
  "range",
  "transfer-encoding",
  "upgrade"
]

/** What a client may ask of caches. */
const directives = ["cache-control", "pragma"]

/** None of these is the name of what every object has. */
const has = (fields: Fields.Fields, names: ReadonlyArray<string>): boolean => {
  for (const name of names) if (fields[name] !== undefined) return true
  return false
}

const noFields: Fields.Fields = {}

/** The answer is written by the lane itself. */
class LaneOrigin {
  readonly isNested = false
  readonly pattern: string | undefined
  readonly span: Tracer.Span | undefined

  constructor(pattern: string | undefined, span?: Tracer.Span) {
    this.pattern = pattern
    this.span = span
  }

  respond(outgoing: Outgoing): Outgoing {
    return outgoing
  }

  breakConnection(): void {}

  countAsRead(): void {}
}

const fieldsIn = ({ headers }: Http.IncomingMessage): Fields.Fields => headers as Fields.Fields

/** The view of the learnt request with the fields of this message, which are made when they are read. */
class MessageView implements View {
  readonly method: string
  readonly target: View["target"]
  readonly ownOrigin: string
  readonly url: string
  readonly isRewritten = false
  readonly isUnnormalised = false
  readonly hasBody = false
  readonly isAmbiguous = false
  readonly asksToUpgrade = false
  readonly condition: string | undefined
  readonly host: string
  private readonly headers: Fields.Fields
  private made: Fields.Fields | undefined

  constructor(
    { host, method, ownOrigin, target, url }: Omit<View, "fields" | "isUnnormalised" | "condition"> & {
      readonly host: string
    },
    headers: Fields.Fields
  ) {
    this.method = method
    this.target = target
    this.ownOrigin = ownOrigin
    this.url = url
    this.host = host
    this.headers = headers
    this.condition = Fields.nominatesNone(headers["connection"]) ? Preconditions.condition(headers) : undefined
  }

  get fields(): Fields.Fields {
    return this.made ??= fieldsOf(this.headers, this.host)
  }

  /** `false`: a field can't be normalised. */
  normalise(by: Policy["normalising"]): boolean {
    const normalised = Vary.normalised(this.fields, by)
    this.made = normalised
    return normalised !== undefined
  }
}

/**
 * What answers a method and a target: nothing of the request that it was learnt from but what is the same for all. It is an
 * instance of a class, since V8 of Node 20 is slow to copy an object literal and then to read the copy.
 */
class Known implements Answering<Outgoing> {
  readonly above: Asked["above"]
  readonly asks = CacheControl.noRequestDirectives
  readonly cache: string
  readonly clock: Asked["clock"]
  readonly identity: Asked["identity"]
  readonly key: Asked["key"]
  readonly lookup: Asked["lookup"]
  readonly origin: LaneOrigin
  readonly policy: Policy
  readonly runtime: Asked["runtime"]
  readonly selection: Asked["selection"]
  readonly storage: Asked["storage"]
  readonly tracer: Tracer.Tracer
  readonly view: MessageView
  /** The lane never waits. */
  readonly waited = { millis: 0 }

  constructor(asked: Asked, view: MessageView, origin: LaneOrigin, tracer: Tracer.Tracer) {
    this.above = asked.above
    this.cache = asked.cache
    this.clock = asked.clock
    this.identity = asked.identity
    this.key = asked.key
    this.lookup = lookupOf(asked.key, asked.identity, view, asked.selection)
    this.origin = origin
    this.policy = asked.policy
    this.runtime = asked.runtime
    this.selection = asked.selection
    this.storage = asked.storage
    this.tracer = tracer
    this.view = view
  }
}

/** What the lane has answered. */
export interface Hit {
  readonly status: number
  readonly ttl: number
}

export class Lane {
  private learnt = new Learnt<Known>()
  private readonly isTraced: boolean

  /** `isTraced`: each request that it answers has a span. */
  constructor(isTraced: boolean) {
    this.isTraced = isTraced
  }

  private learn(message: Http.IncomingMessage, request: Asked & Reported, tracer: Tracer.Tracer): void {
    const { origin: { pattern }, view } = request
    const of = new MessageView({ ...view, host: view.fields["host"] ?? "" }, noFields)
    this.learnt.set(message, fieldsIn(message), new Known(request, of, new LaneOrigin(pattern), tracer))
  }

  /** Forgets all: the handlers are gone, and what they still answer is not learnt. */
  forget(): void {
    this.learnt = new Learnt()
  }

  /** `undefined`: the request goes the usual way, and what comes of it may be learnt. */
  answer(message: Http.IncomingMessage, response: Http.ServerResponse): Hit | undefined {
    let hit: Hit | undefined
    try {
      hit = this.hit(message, response)
    } catch (error) {
      // It would end the process here. In the app it fails one request.
      if (response.headersSent) throw error
    }
    if (hit === undefined) this.letBy(message)
    else metrics.laneHits(1)
    return hit
  }

  /** Lets a message by, and learns from it only if no handler has changed it. */
  private letBy(message: Http.IncomingMessage): void {
    const { method, url } = message
    const { learnt } = this
    const sent = Object.entries(fieldsIn(message))
    comesBy(message, {
      learn: (request, tracer) => {
        const fields = fieldsIn(message)
        const isAsItCame = message.method === method && message.url === url &&
          Object.keys(fields).length === sent.length && sent.every(([name, value]) => fields[name] === value)
        if (isAsItCame && learnt === this.learnt) this.learn(message, request, tracer)
      }
    })
  }

  /** Answers a fresh hit; `undefined`: the lane refuses the request, and has written nothing. */
  private hit(message: Http.IncomingMessage, response: Http.ServerResponse): Hit | undefined {
    const { method } = message
    if (method !== "GET" && method !== "HEAD") return undefined
    // Somebody who listens to Node's channels may have answered it.
    if (response.headersSent) return undefined
    const own = fieldsIn(message)
    const known = this.learnt.get(message, own)
    if (known === undefined) return undefined
    if (has(own, unusual) || (known.policy.honorsRequest && has(own, directives))) return undefined
    if ((own["content-length"] ?? "0") !== "0" || isLengthUnsaid(own, message)) return undefined
    const { origin, policy, tracer } = known
    const view = new MessageView(known.view, own)
    if (policy.normalising.size > 0 && !view.normalise(policy.normalising)) return undefined
    const asked = new Known(known, view, origin, tracer)
    const fresh = freshAtOnce(asked)
    if (fresh === undefined) return undefined
    const outgoing = outgoingOf(asked, fresh)
    if (outgoing === undefined) return undefined
    const made = messageOf(outgoing)
    const outcome = { _tag: "Hit", ttl: fresh.ttl, age: fresh.age } as const
    const answer = (span: Tracer.Span | undefined) => {
      write(message, response, made)
      report(span === undefined ? asked : new Known(asked, view, new LaneOrigin(origin.pattern, span), tracer), outcome)
    }
    if (this.isTraced) traced(known, message, made.status, answer)
    else answer(undefined)
    return { status: made.status, ttl: fresh.ttl }
  }
}

/** A server keeps cookies apart from the other fields. */
const outgoingOf = (request: Known, fresh: Reuse.Serve<CacheItem>): Outgoing | undefined => {
  const outgoing = hitAtOnce(request, fresh)?.response
  return outgoing === undefined || outgoing.cookies.lines.length > 0 ? undefined : outgoing
}

/** Answers within a span like that of the platform, which has the name, the parent and the attributes that tell requests apart. */
const traced = (
  { clock, origin: { pattern }, tracer }: Known,
  message: Http.IncomingMessage,
  status: number,
  answer: (span: Tracer.Span) => void
): void => {
  const { method = "", url = "" } = message
  // It reads the fields of tracing by their names, and nothing else.
  const parent = Option.getOrUndefined(HttpTraceContext.fromHeaders(fieldsIn(message) as Headers.Headers))
  spanned(tracer, clock, `http.server ${method}`, parent, (span) => {
    span.attribute("http.request.method", method)
    span.attribute("url.path", url.split("?", 1)[0])
    if (pattern !== undefined) span.attribute("http.route", pattern)
    span.attribute("http.response.status_code", status)
    answer(span)
  })
}
