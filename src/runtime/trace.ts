/** Tells the requests of a handler from those of others, by what tracing sends along. */
import type * as Tracer from "effect/Tracer"

/** The trace that a request is of, and the span of the client's that it says it is beneath. */
export interface Trace {
  readonly traceId: string
  readonly spanId: string
}

interface Spans {
  /** The one that a request is answered in, and what the request says of itself. */
  readonly span: Tracer.AnySpan | undefined
  readonly asker: Trace | undefined
}

/**
 * Whether a request is one of the flight's own handler, which must not wait for itself: `HttpClient` sends the trace along. Its
 * trace is the flight's, and its parent span not that of the flight's own request.
 */
export const isOwn = ({ asker, span }: Spans, other: Trace | undefined): boolean =>
  other !== undefined && other.traceId === span?.traceId && other.spanId !== asker?.spanId
