/** What ours and theirs, each as a shared cache, do with a pair. */
import CachePolicy from "http-cache-semantics"
import * as CacheControl from "../../src/protocol/CacheControl.js"
import * as CacheKey from "../../src/protocol/CacheKey.js"
import * as Preconditions from "../../src/protocol/Preconditions.js"
import * as Reuse from "../../src/protocol/Reuse.js"
import * as Storability from "../../src/protocol/Storability.js"
import * as Vary from "../../src/protocol/Vary.js"
import { type Fields, type Pair, url } from "./pairs.js"

type Verdict = "refused" | "stored" | "reusable"

const unset = { expiry: undefined, sharedExpiry: undefined, cacheControl: undefined, staleIfError: undefined }
const none = { statuses: new Map<number, undefined>(), vary: [], targets: [] }
/** What is stored is kept for ever, as theirs is. */
const policy = {
  ...unset,
  ...none,
  shared: true,
  maxBodyBytes: 1e6,
  retain: 1e12,
  staleWhileRevalidate: undefined,
  jitter: 0
}
const usual = {
  partition: "",
  setsPreResponseHandler: false,
  readsCredentials: false,
  isOfPersonal: false,
  readsUnkeyed: false,
  bodyBytes: 10,
  isOpaque: false,
  chance: 0,
  hasWhole: false
}

export const ours = (
  { answeredAt, askedAt, method, nextRequest, request, response, sentAt, status }: Pair
): Verdict => {
  const answersGet = Storability.answersGet(method, CacheKey.target(url, "http://localhost"), status, response)
  const exchange = { ...usual, status, response, requestTime: sentAt, responseTime: answeredAt }
  const asked = { method: answersGet ? "GET" : method, request, requestNoStore: CacheControl.request(request).noStore }
  const setsCookies = response["set-cookie"] !== undefined
  const storability = Storability.decide({ ...exchange, ...asked, setsCookies }, policy)
  if (storability._tag === "Refuse") return "refused"
  const { kept } = storability
  const asks = {
    ...CacheControl.request(nextRequest),
    forOrigin: Preconditions.isForOrigin(nextRequest),
    isHeld: true,
    isRepeatable: false,
    isBackedOff: false
  }
  const variant = (fields: Fields) => Vary.variant(kept.vary, fields, { depth: 0 })
  const isFresh = Reuse.decide(kept, asks, askedAt)._tag === "Serve"
  return isFresh && variant(request) === variant(nextRequest) ? "reusable" : "stored"
}

let now = 0
// They ask to be patched for tests.
Object.assign(CachePolicy.prototype, { now: () => now })

export const theirPolicy = ({ answeredAt, askedAt, method, request, response, status }: Pair): CachePolicy => {
  now = answeredAt
  const policy = new CachePolicy({ url, method, headers: request }, { status, headers: response })
  now = askedAt
  return policy
}

export const theirs = (pair: Pair): Verdict => {
  const policy = theirPolicy(pair)
  const isReusable = policy.satisfiesWithoutRevalidation({ url, method: pair.nextMethod, headers: pair.nextRequest })
  return !policy.storable() ? "refused" : isReusable ? "reusable" : "stored"
}
