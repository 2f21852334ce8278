/** Answers fresh hits of what it has seen before, with the same decisions as a route. */
import * as Metric from "effect/Metric"
import { LRUCache } from "lru-cache"
import type * as Http from "node:http"
import { hitAtOnce } from "../engine/handle.js"
import type { Outgoing } from "../engine/origin.js"
import type { Answered } from "../engine/report.js"
import { type Answering, type Asked, change } from "../engine/request.js"
import * as Fields from "../protocol/Fields.js"
import { countNow } from "../runtime/effect.js"
import { comesBy, type Lane as Told } from "../server/lane.js"
import { fieldsOf, isEncrypted, isLengthUnsaid } from "../server/request.js"
import { write } from "./write.js"

const counter = Metric.counter("effect_http_cache_lane_hits", {
  description: "Requests that the lane of effect-http-cache has answered",
  incremental: true
})

/** What is remembered of targets, the least recently asked for first to go. Bytes. */
const maxBytes = 16 * 1024 * 1024
/** Of a target beside its text. Bytes. */
const overhead = 512

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

const has = (fields: Fields.Fields, names: ReadonlyArray<string>): boolean =>
  names.some((name) => Fields.get(fields, name) !== undefined)

const noFields: Fields.Fields = {}

/** The answer is written by the lane itself. */
const origin: Answering<Outgoing>["origin"] = { respond: (outgoing) => outgoing, breakConnection: () => {} }

/** The method and the target as the message has them: what that is a request for was found out when it was first answered. */
const nameOf = (message: Http.IncomingMessage, fields: Fields.Fields): string => {
  const { method = "", url = "" } = message
  const host = fields["host"] ?? fields[":authority"] ?? ""
  return `${method} ${isEncrypted(message) ? "https" : "http"} ${host} ${url}`
}

const fieldsIn = ({ headers }: Http.IncomingMessage): Fields.Fields => headers as Fields.Fields

export class Lane implements Told {
  private readonly learnt = new LRUCache<string, Answering<Outgoing>>({
    maxSize: maxBytes,
    sizeCalculation: (_, name) => overhead + 2 * name.length
  })

  /** Keeps nothing of the request but what is the same for every client. */
  learn(message: object, request: Asked): void {
    const { above, cache, clock, identity, key, policy, runtime, selection, storage, view } = request
    const { host = "" } = view.fields
    const asked = { above, asks: request.asks, cache, clock, identity, key, policy, runtime, selection, storage }
    const known = { ...asked, lookup: request.lookup, origin, view: { ...view, fields: { ...noFields, host } } }
    const incoming = message as Http.IncomingMessage
    this.learnt.set(nameOf(incoming, fieldsIn(incoming)), change(known, {}))
  }

  /** What was learnt is about handlers that are not there any more. */
  forget(): void {
    this.learnt.clear()
  }

  /** `undefined`: the request goes the usual way, and what comes of it may be learnt. */
  answer(message: Http.IncomingMessage, response: Http.ServerResponse): Answered<Outgoing> | undefined {
    const hit = this.hit(message)
    if (hit === undefined || hit.response.cookies.lines.length > 0) {
      comesBy(message, this)
      return undefined
    }
    countNow(counter)
    write(response, hit.response, message.method === "HEAD")
    return hit
  }

  private hit(message: Http.IncomingMessage): Answered<Outgoing> | undefined {
    const { method } = message
    if (method !== "GET" && method !== "HEAD") return undefined
    const own = fieldsIn(message)
    const known = this.learnt.get(nameOf(message, own))
    if (known === undefined) return undefined
    if (has(own, unusual) || (known.policy.honorsRequest && has(own, directives))) return undefined
    if ((own["content-length"] ?? "0") !== "0" || isLengthUnsaid(own, message)) return undefined
    const fields = fieldsOf(own, known.view.fields["host"]!)
    return hitAtOnce(change(known, { view: { ...known.view, method, fields } }))
  }
}
