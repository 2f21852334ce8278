/** Remembers what is known of a method and a target, as messages have them, within a bound. */
import { LRUCache } from "lru-cache"
import type * as Http from "node:http"
import type * as Fields from "../protocol/Fields.js"
import { isEncrypted } from "../server/request.js"

/** What is remembered, the least recently asked for target first to go. Bytes. */
const maxBytes = 32 * 1024 * 1024
/** Of each beside its texts, where it has a target of its own; `npm run check:memory` holds it against the heap. Bytes. */
const overhead = 1400

/** What is known of one target, by host, and then by method and scheme. */
interface OfTarget<Known> {
  readonly byHost: Map<string, Array<Known | undefined>>
  bytes: number
}

/** A client that speaks HTTP/2 names the host by its authority, or by both, which may differ. */
const hostIn = ({ ":authority": authority, host }: Fields.Fields): string =>
  authority === undefined || host === undefined ? authority ?? host ?? "" : `${authority}\n${host}`

const placeOf = (message: Http.IncomingMessage): number =>
  (message.method === "HEAD" ? 1 : 0) + (isEncrypted(message) ? 2 : 0)

/** Looks up by target, then host, then the rest: to join them to one text would take longer. */
export class Learnt<Known> {
  private readonly byTarget = new LRUCache<string, OfTarget<Known>>({
    maxSize: maxBytes,
    sizeCalculation: ({ bytes }) => bytes
  })

  /** `fields`: those of the message. */
  get(message: Http.IncomingMessage, fields: Fields.Fields): Known | undefined {
    const { url = "" } = message
    return this.byTarget.get(url)?.byHost.get(hostIn(fields))?.[placeOf(message)]
  }

  set(message: Http.IncomingMessage, fields: Fields.Fields, known: Known): void {
    const { url = "" } = message
    const host = hostIn(fields)
    const { byHost, bytes } = this.byTarget.get(url) ??
      { byHost: new Map<string, Array<Known | undefined>>(), bytes: 0 }
    const ofHost = byHost.get(host) ?? []
    const place = placeOf(message)
    const isNew = ofHost[place] === undefined
    ofHost[place] = known
    byHost.set(host, ofHost)
    // The key has both, and the origin has the host once more.
    const own = overhead + 2 * url.length + 3 * host.length
    // A target that alone takes more than `maxBytes` is forgotten.
    this.byTarget.set(url, { byHost, bytes: isNew ? bytes + own : bytes })
  }
}
