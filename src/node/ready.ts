/** Keeps a response as it is written to whoever asks so, until its age is another second. */
import type { CacheItem } from "../CacheItem.js"
import type { Outgoing } from "../engine/origin.js"
import type { Policy } from "../policy/policy.js"
import * as Fields from "../protocol/Fields.js"
import type * as Reuse from "../protocol/Reuse.js"
import { type Message, messageOf } from "./write.js"

/** What it depends on beside the item. */
interface Made {
  readonly policy: Policy
  readonly method: string
  readonly tags: string | undefined
  /** Seconds. */
  readonly age: number
  readonly ttl: number
  readonly message: Message
}

/** No field is taken away by `Connection`; a time would be compared with the clock, unless there are tags (RFC 9110 §13.1.3). */
const isTellable = ({ connection, "if-modified-since": time, "if-none-match": tags }: Fields.Fields): boolean =>
  Fields.nominatesNone(connection) && (tags !== undefined || time === undefined)

/** Those of one server, which decides what is in a head beside the fields of the response. */
export class Ready {
  /** For those who have nothing, and for those who may have it already. */
  private readonly whole = new WeakMap<CacheItem, Made>()
  private readonly conditional = new WeakMap<CacheItem, Made>()

  /** What was made for the same, or what is made now. `fields`: as the client has sent them. */
  messageFor(
    fresh: Reuse.Fresh<CacheItem>,
    policy: Policy,
    method: string,
    fields: Fields.Fields,
    make: () => Outgoing | undefined
  ): Message | undefined {
    const tags = fields["if-none-match"]
    const table = tags === undefined ? this.whole : this.conditional
    const age = Math.floor(fresh.age / 1000)
    const ttl = Math.floor(fresh.ttl / 1000)
    const isKept = isTellable(fields)
    const kept = isKept ? table.get(fresh.stored) : undefined
    const isSame = kept?.policy === policy && kept.method === method && kept.tags === tags
    if (isSame && kept.age === age && kept.ttl === ttl) return kept.message
    const outgoing = make()
    if (outgoing === undefined) return undefined
    const message = messageOf(outgoing, method === "HEAD")
    if (isKept) table.set(fresh.stored, { policy, method, tags, age, ttl, message })
    return message
  }
}
