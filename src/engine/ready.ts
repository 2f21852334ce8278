/** What is made of a stored response for many requests: once for each item, and once for each second of its age. */
import type { CacheItem } from "../CacheItem.js"
import type { Policy } from "../policy/policy.js"
import * as CacheControl from "../protocol/CacheControl.js"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import * as ClientFields from "../protocol/ClientFields.js"
import * as Fields from "../protocol/Fields.js"
import * as Storability from "../protocol/Storability.js"
import * as Body from "./body.js"
import { cookiesOf, type Outgoing, type SetCookies } from "./origin.js"
import type { Asked } from "./request.js"

/** What of a stored response is the same for each request: it is made when the response is first sent. */
export interface Ready {
  readonly policy: Policy
  readonly told: CacheControl.Told
  /** With what clients are told; `Age` and `Cache-Status` are each response's own. */
  readonly fields: Fields.Fields
  readonly cookies: SetCookies
  readonly body: Body.Body
  notModified: Fields.Fields | undefined
  /** It was sent before. That is never so where the storage makes a new item for each answer. */
  isSentAgain: boolean
}

const ready = new WeakMap<CacheItem, Ready>()

export const readyOf = ({ identity, policy }: Asked, item: CacheItem): Ready => {
  const known = ready.get(item)
  if (known !== undefined && known.policy === policy) {
    known.isSentAgain = true
    return known
  }
  const told = Storability.toldOf(item, policy)
  const fields = Fields.copy(item.headers)
  ClientFields.tell(fields, policy, told, identity.reads)
  const made: Ready = {
    policy,
    told,
    fields,
    cookies: cookiesOf(item.cookies),
    body: Body.ofBytes(item.body),
    notModified: undefined,
    isSentAgain: false
  }
  // What a partition's clients are told depends on what named it in this request.
  if (!policy.isPartitioned) ready.set(item, made)
  return made
}

/** How a stored response is asked for, and how old it is. Who asks the same is sent the same. */
interface Asking {
  readonly policy: Policy
  readonly method: string
  /** `View.condition` */
  readonly condition: string
  /** Seconds. */
  readonly age: number
  readonly ttl: number
}

interface SentBefore extends Asking {
  readonly outgoing: Outgoing
}

/** Milliseconds. */
const lasting = 1000

/** What hits of one second are sent, without a condition and with one. A hit that comes a second later drops it. */
let whole = new WeakMap<CacheItem, SentBefore>()
let conditional = new WeakMap<CacheItem, SentBefore>()
/** Epoch milliseconds. */
let since = 0

const tableFor = (condition: string, now: number): WeakMap<CacheItem, SentBefore> => {
  if (now - since >= lasting || now < since) {
    whole = new WeakMap()
    conditional = new WeakMap()
    since = now
  }
  return condition === "" ? whole : conditional
}

/** `undefined` where what this request is sent is not for others. */
export const askingOf = (
  { policy, view: { condition, method } }: Pick<Asked, "policy" | "view">,
  outcome: CacheStatus.Outcome
): Asking | undefined =>
  condition === undefined || outcome._tag === "Forwarded" || policy.isPartitioned
    ? undefined
    : {
      policy,
      method,
      condition,
      age: CacheControl.inSeconds(outcome.age),
      ttl: CacheControl.inSeconds(outcome.ttl)
    }

/** What others are sent in this second; `undefined` where nobody has asked so. */
export const sentBefore = (item: CacheItem, asking: Asking, now: number): Outgoing | undefined => {
  const sent = tableFor(asking.condition, now).get(item)
  const isSame = sent?.policy === asking.policy && sent.method === asking.method &&
    sent.condition === asking.condition && sent.age === asking.age && sent.ttl === asking.ttl
  return isSame ? sent.outgoing : undefined
}

export const rememberSent = (
  item: CacheItem,
  { age, condition, method, policy, ttl }: Asking,
  now: number,
  outgoing: Outgoing
): void => {
  tableFor(condition, now).set(item, { policy, method, condition, age, ttl, outgoing })
}
