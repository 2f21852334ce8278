/** Exchanges and policies to decide about, and what the decision is. */
import type { Detail } from "../../src/protocol/CacheStatus.js"
import * as Storability from "../../src/protocol/Storability.js"

export const now = Date.UTC(2026, 10, 22, 12)

export const proxy: Storability.Policy = {
  shared: true,
  expiry: undefined,
  sharedExpiry: undefined,
  statuses: new Map([[200, undefined], [404, undefined]]),
  cacheControl: undefined,
  maxBodyBytes: 100,
  vary: [],
  targets: [],
  staleWhileRevalidate: undefined,
  staleIfError: undefined,
  jitter: 0,
  retain: undefined
}
export const origin: Storability.Policy = { ...proxy, expiry: 10_000 }
const plain: Storability.Exchange = {
  method: "GET",
  request: {},
  requestNoStore: false,
  partition: "",
  status: 200,
  response: {},
  setsCookies: false,
  setsPreResponseHandler: false,
  readsCredentials: false,
  isOfPersonal: false,
  readsUnkeyed: false,
  bodyBytes: 100,
  isOpaque: false,
  chance: 0,
  hasWhole: false,
  requestTime: now,
  responseTime: now
}
export const control = (value: string): Partial<Storability.Exchange> => ({ response: { "cache-control": value } })
export const authorized = { request: { authorization: "Bearer x" } }

export const decide = (exchange: Partial<Storability.Exchange>, policy: Storability.Policy = proxy) =>
  Storability.decide({ ...plain, ...exchange }, policy)

/** `undefined` when it is kept. */
export const refusal = (exchange: Partial<Storability.Exchange>, policy?: Storability.Policy): Detail | undefined => {
  const storability = decide(exchange, policy)
  return storability._tag === "Refuse" ? storability.detail : undefined
}

export const keep = (exchange: Partial<Storability.Exchange>, policy?: Storability.Policy): Storability.ItemHead => {
  const storability = decide(exchange, policy)
  if (storability._tag === "Refuse") throw new Error(`refused: ${storability.detail}`)
  return storability.kept
}

interface Cause {
  readonly exchange?: Partial<Storability.Exchange>
  /** Added to `Cache-Control`; of freshness there is `max-age=60` unless `isUnstated`. */
  readonly control?: string
  readonly vary?: string
  readonly isUnstated?: true
}

export const causes: ReadonlyArray<readonly [Detail, Cause]> = [
  ["head", { exchange: { method: "HEAD" } }],
  ["not-modified", { exchange: { status: 304 } }],
  ["status", { exchange: { status: 299 }, control: "must-understand" }],
  ["no-store", { control: "no-store" }],
  ["request-no-store", { exchange: { requestNoStore: true } }],
  ["cookies", { exchange: { setsCookies: true } }],
  ["pre-response-handler", { exchange: { setsPreResponseHandler: true } }],
  ["private", { control: "private" }],
  ["unkeyed", { exchange: { readsUnkeyed: true } }],
  ["credentials", { exchange: { readsCredentials: true } }],
  ["authorization", { exchange: authorized }],
  ["vary", { vary: "*" }],
  ["no-freshness", { isUnstated: true }],
  ["not-bytes", { exchange: { isOpaque: true } }],
  ["too-large", { exchange: { bodyBytes: 101 } }],
  ["partial", { exchange: { status: 206 } }]
]

/** Of two causes that set the same, the first counts. */
export const caused = (...causes: ReadonlyArray<Cause>): Partial<Storability.Exchange> => {
  const directives = causes.flatMap(({ control }) => control ?? [])
  if (!causes.some(({ isUnstated }) => isUnstated)) directives.push("max-age=60")
  const vary = causes.find((cause) => cause.vary !== undefined)?.vary
  return {
    ...causes.reduceRight<Partial<Storability.Exchange>>((later, { exchange }) => ({ ...later, ...exchange }), {}),
    response: { "cache-control": directives.join(", "), ...(vary === undefined ? {} : { vary }) }
  }
}
