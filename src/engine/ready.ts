/** What is made of a stored response for many requests: once for each item, and once for each second of its age. */
import type { CacheItem } from "../CacheItem.js"
import type { Policy } from "../policy/policy.js"
import * as CacheControl from "../protocol/CacheControl.js"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import * as ClientFields from "../protocol/ClientFields.js"
import * as Fields from "../protocol/Fields.js"
import * as Storability from "../protocol/Storability.js"
import * as Body from "./body.js"
import { noCookies, type Outgoing, type SetCookies } from "./origin.js"
import type { Asked } from "./request.js"

/** What of a stored response is the same for each request: it is made when the response is first sent. */
export interface Ready {
  readonly policy: Policy
  readonly told: CacheControl.Answer
  /** With what clients are told; `Age` and `Cache-Status` are each response's own. */
  readonly fields: Fields.Fields
  readonly cookies: SetCookies
  readonly body: Body.Body
  notModified: Fields.Fields | undefined
}

const ready = new WeakMap<CacheItem, Ready>()

export const readyOf = ({ identity, policy }: Asked, item: CacheItem): Ready => {
  const known = ready.get(item)
  if (known !== undefined && known.policy === policy) return known
  const told = Storability.answerOf(item, policy)
  const fields = Fields.copy(item.headers)
  ClientFields.tell(fields, policy, told, identity.reads)
  const made: Ready = {
    policy,
    told,
    fields,
    cookies: item.cookies.length === 0 ? noCookies : { lines: item.cookies },
    body: Body.ofBytes(item.body),
    notModified: undefined
  }
  // What a partition's clients are told depends on what named it in this request.
  if (!policy.isPartitioned) ready.set(item, made)
  return made
}

/** What all those are sent who ask by this method and have this in common, in this second. */
interface Kept {
  readonly policy: Policy
  readonly method: string
  /** `View.usual` */
  readonly usual: string
  /** Seconds. */
  readonly age: number
  readonly ttl: number
  readonly outgoing: Outgoing
}

/** Milliseconds. */
const lasting = 1000

/** What hits of one second were sent, for who has nothing and for who may have it already. It is dropped with the next second. */
let whole = new WeakMap<CacheItem, Kept>()
let conditional = new WeakMap<CacheItem, Kept>()
/** Epoch milliseconds. */
let since = 0

const tableFor = (usual: string, now: number): WeakMap<CacheItem, Kept> => {
  if (now - since >= lasting || now < since) {
    whole = new WeakMap()
    conditional = new WeakMap()
    since = now
  }
  return usual === "" ? whole : conditional
}

/** Who asks for a stored response, and when. */
interface Asking {
  readonly policy: Policy
  readonly method: string
  readonly usual: string
  readonly hit: CacheStatus.Hit
  readonly now: number
}

/** What others are sent in this second; `undefined` where nobody has asked so. */
export const keptOf = (item: CacheItem, { hit, method, now, policy, usual }: Asking): Outgoing | undefined => {
  const kept = tableFor(usual, now).get(item)
  const isSame = kept?.policy === policy && kept.method === method && kept.usual === usual &&
    kept.age === CacheControl.inSeconds(hit.age) && kept.ttl === CacheControl.inSeconds(hit.ttl)
  return isSame ? kept.outgoing : undefined
}

export const keep = (item: CacheItem, { hit, method, now, policy, usual }: Asking, outgoing: Outgoing): void => {
  const age = CacheControl.inSeconds(hit.age)
  const ttl = CacheControl.inSeconds(hit.ttl)
  tableFor(usual, now).set(item, { policy, method, usual, age, ttl, outgoing })
}
