/** What a lane before the server is told of a request: that it may answer others like that by itself. */
import type * as Tracer from "effect/Tracer"
import type { Asked } from "../engine/request.js"
import type { Reported, Served } from "../engine/report.js"
import type * as Fields from "../protocol/Fields.js"
import { type Caller, tracerOf } from "../runtime/effect.js"

export interface Lane {
  /** The request was answered by a hit, fresh or stale. `tracer` makes the spans. */
  readonly learn: (request: Asked & Reported, tracer: Tracer.Tracer) => void
}

const lane = Symbol.for("effect-http-cache/lane")

/** The message goes the usual way, and the lane is told where it could have answered. */
export const comesBy = (message: object, own: Lane): void => {
  ;(message as { [lane]?: Lane })[lane] = own
}

interface Source {
  readonly method: string
  readonly headers: Fields.Fields
  readonly [lane]?: Lane
}

/** Whether the cache has seen the fields that the client sent: the lane would not see those that a middleware has set. */
const isAsSent = (headers: Fields.Fields, sent: Fields.Fields): boolean => {
  const names = Object.keys(sent)
  return Object.keys(headers).length === names.length && names.every((name) => headers[name] === sent[name])
}

/**
 * Tells the lane of a hit by the outermost cache, if the request came by a lane. A cache beneath tells nothing: it would read
 * the request's source, which the cache above takes for a read of the handler.
 */
export const tell = (
  request: { readonly source: unknown; readonly headers: Fields.Fields },
  asked: Asked & Reported,
  { outcome }: Served<unknown>,
  caller: Caller
): void => {
  const { above, policy, view } = asked
  if (!policy.lane || outcome?._tag !== "Hit" || above.depth >= 0 || view.isRewritten) return
  // A message of Node's, where a lane has seen it.
  const source = request.source as Source | undefined
  const own = source?.[lane]
  if (source === undefined || own === undefined) return
  if (view.method === source.method && isAsSent(request.headers, source.headers)) {
    own.learn(asked, tracerOf(caller))
  }
}
