/** Decides whether an answer may be stored, and stores it. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { randomBytes } from "node:crypto"
import { type CacheItem, compose } from "../CacheItem.js"
import type { Fill } from "../CacheStorage.js"
import type * as CacheControl from "../protocol/CacheControl.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as CacheGroups from "../protocol/CacheGroups.js"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import * as Fields from "../protocol/Fields.js"
import * as Range from "../protocol/Range.js"
import * as Reads from "../protocol/Reads.js"
import * as Storability from "../protocol/Storability.js"
import * as Validation from "../protocol/Validation.js"
import * as Vary from "../protocol/Vary.js"
import { forkDetached, step } from "../runtime/effect.js"
import { limitReached } from "../runtime/limits.js"
import { nameOfKey } from "../runtime/names.js"
import * as answers from "./answers.js"
import * as Body from "./body.js"
import { canCollect, collect } from "./collecting.js"
import { isPersonal } from "./enclosing.js"
import * as alike from "./alike.js"
import type { Answer, Handled, Passed } from "./origin.js"
import { type Asked, now } from "./request.js"
import * as storageAccess from "./storageAccess.js"

const none: ReadonlyArray<string> = []

/** Where a response is kept: the fill that began before the handler was asked, and what was found then. */
export class Destination {
  readonly asked: Asked
  readonly fill: Fill | undefined
  /** What the fill found. */
  readonly item: CacheItem | undefined
  /** When the fill began. Epoch milliseconds. */
  readonly since: number
  /** How many collects had begun in this process by then. */
  readonly collectsBegun: number
  /** The groups of the response, as far as they are known. */
  groups: ReadonlyArray<string>

  constructor(asked: Asked, fill: Fill | undefined, item: CacheItem | undefined) {
    this.asked = asked
    this.fill = fill
    this.item = item
    this.since = now(asked)
    this.collectsBegun = asked.runtime.collectsBegun
    this.groups = item?.groups ?? none
  }
}

export type HandlerExchange =
  & Pick<Storability.Exchange, "method" | "requestTime" | "responseTime" | "setsPreResponseHandler">
  & Pick<Handled<unknown>, "reads" | "said" | "shown">
  /** More may be read while the body is sent. */
  & { readonly readsLate: boolean }

export interface Judged {
  readonly told: CacheControl.Told
  readonly isPersonal: boolean
  /** The groups that it is of, by name; `undefined` where one has no name. */
  readonly groups: ReadonlyArray<string> | undefined
  /** Why it may not be kept. */
  readonly detail?: CacheStatus.Detail | undefined
  /** What may be kept; without content while that is a stream. */
  readonly item?: CacheItem | undefined
  /** Reads that nothing tells apart: names or words. */
  readonly unkeyed: ReadonlyArray<string>
}

/**
 * At most eight lists of fields for each URI: a handler that reads what the client names would make a list for each request,
 * and a lookup goes through them all.
 */
const maxFieldLists = 8

/** Whether this `Vary` is one of the first eight that responses of the URI had. */
const admitsList = ({ key, runtime: { memory } }: Asked, vary: Vary.Vary): boolean => {
  const seen = memory.fieldLists.get(key) ?? []
  const list = JSON.stringify(vary)
  if (seen.includes(list)) return true
  if (seen.length >= maxFieldLists) return false
  memory.fieldLists.set(key, [...seen, list])
  return true
}

/** Ids are flat texts, a prefix for each process and a count: a UUID of `node:crypto` keeps 479 bytes. */
const idPrefix = `${randomBytes(12).toString("base64url")}-`
let ids = 0

/**
 * The groups that an answer is of: an answer about what is stored adds to those of that. `undefined` where it can't be
 * collected by all of them.
 */
export const groupsOf = (
  { asked: { view }, item }: Destination,
  { said }: Pick<HandlerExchange, "said">,
  answer: Answer
): ReadonlyArray<string> | undefined => {
  const told = CacheGroups.ofResponse(view.target.origin, answer.fields)
  if (told === undefined || said.isUngrouped === true) return undefined
  return CacheGroups.union(told, said.groups ?? none, answer.isStored ? item?.groups ?? none : none)
}

/** Decides whether an answer may be stored, as what, and what clients are told. */
export const judge = (destination: Destination, exchange: HandlerExchange, answer: Answer): Effect.Effect<Judged> =>
  step(
    destination.asked.policy.jitter === 0 ? Exit.succeed(0) : Random.next,
    (chance) => judgeWith(destination, exchange, answer, chance)
  )

const judgeWith = (
  destination: Destination,
  exchange: HandlerExchange,
  answer: Answer,
  chance: number
): Effect.Effect<Judged> => {
  const { asked } = destination
  const { lookup: { partition }, policy, runtime } = asked
  const { added, credentials, unkeyed: read } = Reads.judge(exchange.reads, policy, answer.fields)
  const unkeyed = exchange.readsLate ? [...read, Reads.late] : read
  const storability = Storability.decide(
    exchangeOf(destination, exchange, answer, {
      readsCredentials: credentials,
      readsUnkeyed: unkeyed.length > 0,
      chance
    }),
    policy
  )
  const { isPersonal, told } = storability
  const groups = groupsOf(destination, exchange, answer)
  const refused = (detail: CacheStatus.Detail, reads: ReadonlyArray<string> = unkeyed): Judged => (
    { told, isPersonal, groups, detail, item: undefined, unkeyed: reads }
  )
  if (storability._tag === "Refuse") {
    const judged = refused(storability.detail)
    return judged.detail === "too-large" ? Effect.as(tooLarge(asked), judged) : Exit.succeed(judged)
  }
  const { kept } = storability
  // The `Set-Cookie` lines are kept by themselves, or left out.
  const cookies = policy.cookies === "store" && !kept.withholdsCookies ? answer.cookies.lines : none
  // The server refuses to send it, each time.
  if (!Fields.areSendable(kept.headers) || !cookies.every(Fields.isValue)) {
    return Exit.succeed(refused("unsendable"))
  }
  if (groups === undefined) return Exit.succeed(refused("groups"))
  if (added.length > 0 && !admitsList(asked, kept.vary)) {
    return Effect.as(
      limitReached(runtime, "lists of fields that were read", "and what is made of others is not stored"),
      refused("unkeyed", added)
    )
  }
  if (!Vary.isSpelled(exchange.shown, kept.vary)) {
    // The next handler is shown the one spelling.
    alike.nominate(asked, kept.vary)
    return Exit.succeed(refused("spelling", []))
  }
  // Another user of the same browser is not shown it (RFC 9111 §4.1).
  if (partition !== "") Vary.add(answer.fields, [...exchange.reads?.credentials ?? []])
  const item = itemOf(destination, kept, answer, { cookies, groups })
  return Exit.succeed({ told, isPersonal, groups, item, unkeyed })
}

/** What decides whether an answer may be stored. */
const exchangeOf = (
  { asked: { asks, lookup: { partition }, policy, view }, item: found }: Destination,
  exchange: HandlerExchange,
  answer: Answer,
  { chance, readsCredentials, readsUnkeyed }: Pick<
    Storability.Exchange,
    "chance" | "readsCredentials" | "readsUnkeyed"
  >
): Storability.Exchange => ({
  method: exchange.method,
  requestTime: exchange.requestTime,
  responseTime: exchange.responseTime,
  setsPreResponseHandler: exchange.setsPreResponseHandler,
  readsCredentials,
  isOfPersonal: isPersonal(exchange.said, partition),
  readsUnkeyed,
  request: view.fields,
  requestNoStore: asks.noStore,
  partition,
  status: answer.status,
  response: answer.fields,
  setsCookies: policy.cookies === "refuse" && answer.cookies.lines.length > 0,
  bodyBytes: Body.bytesOf(answer.body)?.byteLength ?? Range.saidLength(answer),
  isOpaque: answer.body._tag === "Opaque",
  hasWhole: found !== undefined && found.range === undefined,
  chance
})

/** What is kept of an answer. */
const itemOf = (
  { asked, item: found }: Destination,
  kept: Storability.ItemHead,
  answer: Answer,
  { cookies, groups }: Pick<CacheItem, "cookies" | "groups">
): CacheItem => {
  const { key, partition, variantOf } = asked.lookup
  const content = Body.bytesOf(answer.body)
  return compose(kept, {
    id: `${idPrefix}${(++ids).toString(36)}`,
    key,
    partition,
    cache: asked.cache,
    variant: variantOf(kept.vary),
    vary: kept.vary,
    groups,
    headers: partition === "" ? kept.headers : Fields.merged(kept.headers, Vary.only(answer.fields)),
    cookies,
    body: content === undefined || content === found?.body ? content ?? Body.none : Body.copy(content)
  })
}

/** Counts and logs a limit on body or fields. */
export const tooLarge = ({ runtime }: Pick<Asked, "runtime">): Effect.Effect<void> =>
  limitReached(runtime, "size", "and what is larger is not stored")

/** Stores the item, or says why not. An item that could never be used only drops what was found. */
export const store = (
  { asked, fill }: Destination,
  item: CacheItem
): Effect.Effect<CacheStatus.Detail | undefined> =>
  item.retainUntil > item.responseTime
    ? storageAccess.store(asked, fill, item)
    : step(storageAccess.store(asked, fill, undefined), () => Exit.succeed("not-kept"))

/** Drops what was found: it is out of date. */
export const drop = ({ asked, fill, item }: Destination): Effect.Effect<unknown> =>
  item === undefined ? Effect.void : storageAccess.store(asked, fill, undefined)

/** Forgets this item, wherever it has come to by now, such as near other processes; also in a fiber that is being interrupted. */
export const forget = ({ asked }: Destination, { id }: CacheItem): Effect.Effect<unknown> => {
  const { lookup: { key }, storage } = asked
  const forgotten = canCollect(storage)
    ? collect(asked, storage, nameOfKey(key))
    : Effect.flatMap(
      storageAccess.begin(asked),
      ({ fill, found }) => found.item?.id === id ? storageAccess.store(asked, fill, undefined) : Effect.void
    )
  return Effect.flatMap(forkDetached(Effect.interruptible(forgotten)), Fiber.await)
}

/** What a `HEAD` says of the stored response to `GET` (RFC 9111 §4.3.5). */
export const freshenByHead = (
  destination: Destination,
  exchange: HandlerExchange,
  head: Answer
): Effect.Effect<unknown> => {
  const { item } = destination
  if (item === undefined || item.range !== undefined || head.status !== 200 || head.body._tag === "Opaque") {
    return Effect.void
  }
  if (!Validation.headIsAbout(item.headers, head.fields)) return drop(destination)
  return Validation.headTells(item.headers, head.fields)
    ? Effect.flatMap(
      judge(destination, { ...exchange, method: "GET" }, answers.freshened(item, head)),
      (judged) => judged.item === undefined ? drop(destination) : store(destination, judged.item)
    )
    : Effect.void
}

/**
 * Stores what a `POST` answered, as the response to `GET` that it says it is (RFC 9110 §9.3.3), unless one of its groups was
 * collected since `first`, the fill that began before the handler ran.
 */
export const storeForGet = (
  asked: Asked,
  first: Fill | undefined,
  fill: Fill | undefined,
  answer: Answer,
  { ran: { said, setsPreResponseHandler }, shown, target }: Pick<Passed<unknown>, "ran" | "shown" | "target">
): Effect.Effect<unknown> => {
  const { policy, view } = asked
  // Its handler must have seen no more of the target than the key has, as for a `GET`.
  const keyed = CacheKey.narrow(CacheKey.pathOf(view.target), policy.query)
  if (target !== keyed && target !== view.ownOrigin + keyed) return Effect.void
  if (!Fields.nominatesNone(Fields.get(shown, "connection"))) return Effect.void
  if (!Storability.answersGet(view.method, view.target, answer.status, answer.fields)) return Effect.void
  if (answer.body._tag !== "Bytes") return Effect.void
  const time = now(asked)
  const destination = new Destination(asked, fill, fill?.item)
  // It passed by: nothing was recorded.
  const exchange = { setsPreResponseHandler, reads: undefined, readsLate: false, said, shown }
  const judged = judge(destination, { ...exchange, method: "GET", requestTime: time, responseTime: time }, answer)
  return Effect.flatMap(judged, ({ item }) => {
    if (item === undefined) return drop(destination)
    if (first === undefined) return Effect.void
    if (item.groups.length === 0) return store(destination, item)
    return Effect.flatMap(
      storageAccess.holds(asked, first, item.groups, []),
      (holds) => holds === true ? store(destination, item) : Effect.void
    )
  })
}
