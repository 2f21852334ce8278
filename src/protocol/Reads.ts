/** Which of a handler's reads count: what it read of the request, and what nothing tells apart. */
import * as Fields from "./Fields.js"
import * as Vary from "./Vary.js"

/** What a route says of reads. */
export interface Policy {
  readonly unkeyed: "vary" | "refuse" | "ignore"
  readonly vary: Vary.Vary
  /** A canonical origin, which takes the place of what the request says in the key. */
  readonly origin: string | undefined
}

/**
 * Fields that may be read without being part of the key, since they say nothing of the representation, or are heeded
 * already. `Host` is counted all the same where `origin` replaces it in the key.
 */
export const uncounted: ReadonlySet<string> = new Set([
  // Part of the key.
  "host",
  // HTTP evaluates them: what depends on them has a status or directives of its own (RFC 9110 §13, §14; RFC 9111 §5.2.1).
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
  "range",
  "cache-control",
  "pragma",
  // Of the message, not of what is asked for.
  "content-length"
])

/** What no field name stands for. */
type Unnameable = "all fields" | "the remote address" | "the request's source"

/** What was read, in words, of a stream that reads after its head has gone out. */
export const late = "more while its body was sent"

/** What was read so far: a body that is still made may read more. */
export class Reads {
  readonly fields = new Set<string>()
  readonly unnameable = new Set<Unnameable>()
  /** Which fields that say who is asking. */
  readonly credentials = new Set<"authorization" | "cookie">()

  /** How much: it grows with each read of something else. */
  get count(): number {
    return this.fields.size + this.unnameable.size + this.credentials.size
  }

  /** After all fields there are no single ones. The names of fields are lower-case; another name reads nothing. */
  field(name: PropertyKey): void {
    if (typeof name !== "string" || this.unnameable.has("all fields")) return
    if (name === "cookie" || name === "authorization") this.credentials.add(name)
    // Those of HTTP/2, which no `Vary` can name.
    else if (name.startsWith(":")) this.unnameable.add("the request's source")
    else if (Fields.isToken(name) && name === name.toLowerCase()) this.fields.add(name)
  }
}

/** Whether what a handler read is added to the `Vary` of its response. */
export const addsToVary = ({ unkeyed }: Pick<Policy, "unkeyed">): boolean => unkeyed === "vary"

/** The request fields that were read; of what reads all of them or the source, all but the uncounted ones. */
export const namesOf = (reads: Reads | undefined, fields: Fields.Fields): Vary.Vary => {
  if (reads === undefined) return []
  return reads.unnameable.size > 0
    ? Object.keys(fields).filter((name) => !uncounted.has(name))
    : [...reads.fields, ...reads.credentials]
}

/** The fields that were read and that neither the route's `vary` nor the response's `Vary` names. */
export const unkeyed = (
  reads: Reads | undefined,
  { origin, vary }: Policy,
  response: Fields.Fields = {}
): Vary.Vary => {
  if (reads === undefined || reads.fields.size === 0) return []
  const named = Vary.parse(Fields.get(response, "vary"))
  const isKeyed = (name: string) => vary.includes(name) || named.includes(name)
  const isCounted = (name: string) => !uncounted.has(name) || (name === "host" && origin !== undefined)
  return Vary.of([...reads.fields].filter((name) => isCounted(name) && !isKeyed(name)))
}

export interface Verdict {
  /** It read who is asking. */
  readonly credentials: boolean
  /** What else it read that nothing tells apart: field names, or in words. */
  readonly unkeyed: ReadonlyArray<string>
  /** What it read that is added to `Vary`. */
  readonly added: Vary.Vary
}

const nothing: Verdict = { credentials: false, unkeyed: [], added: [] }

export const judge = (reads: Reads | undefined, policy: Policy, response: Fields.Fields): Verdict => {
  if (reads === undefined || reads.count === 0) return nothing
  const { unnameable } = reads
  const credentials = reads.credentials.size > 0
  if (policy.unkeyed === "ignore") {
    const seesAll = unnameable.has("all fields") || unnameable.has("the request's source")
    return { credentials: credentials || seesAll, unkeyed: [], added: [] }
  }
  return addsToVary(policy)
    ? { credentials, unkeyed: [...unnameable], added: unkeyed(reads, policy) }
    : { credentials, unkeyed: [...unnameable, ...unkeyed(reads, policy, response)], added: [] }
}
