/** The storage itself: what is sent for each of its methods, and what is made of the replies. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { CacheMiss, CacheStorageError } from "../CacheError.js"
import type { CacheItem } from "../CacheItem.js"
import * as CacheStorage from "../CacheStorage.js"
import type * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import { remembered } from "../protocol/Vary.js"
import { answered, type Force, forceOf, hard, soft, softUnlessError, spared } from "../storages/force.js"
import { forceSince, knows, Ledger, letterOf, membersOf } from "./ledger.js"
import { collectsOf } from "./listening.js"
import { fieldsOf, includes, keysOf, type Known, marks, parseLists, Places, textOfList, union } from "./place.js"
import { isBytes, listOf, numberOf, type Redis, type Reply, textOf } from "./port.js"
import * as Record from "./record.js"
import { begin as beginScript, collectKey, set as setScript } from "./scripts.js"
import { Server } from "./server.js"

export interface Settings {
  readonly prefix: string
  readonly maxItemBytes: number
  readonly maxVariants: number
  /** Milliseconds. */
  readonly fillLasts: number
  readonly isDurable: boolean
}

/** What the fills of this storage are known by. */
interface Since extends Record.Moment {
  /** Of the hash, from its first fill to a collect that forgets. */
  readonly token: string
  /** Of the ledger. */
  readonly name: string
}

/** What was read of a place in one trip. */
interface Read {
  readonly run: string
  readonly page: Awaited<ReturnType<Ledger["read"]>>
  /** The marks, the lists and the records. */
  readonly values: ReadonlyArray<Reply>
}

interface Found extends Read {
  readonly item: CacheItem | undefined
  readonly isEmpty: boolean
}

/** A place that changes all the time is read so often, until all of its lists and groups were asked about. */
const maxTrips = 4

/** How often a `set` is tried again that others have overtaken with lists that were not known. */
const maxSets = 3

export class RedisStorage implements CollectableCacheStorage.SharedService {
  private readonly settings: Settings
  private readonly server: Server
  private readonly ledger: Ledger
  private readonly channel: string
  readonly collects: CollectableCacheStorage.SharedService["collects"]
  private readonly places = new Places()
  private readonly tokenPrefix = randomBytes(12).toString("base64url")
  private tokens = 0

  constructor(redis: Redis, settings: Settings) {
    this.settings = settings
    this.channel = `${settings.prefix}collected`
    this.collects = collectsOf(redis, this.channel)
    this.server = new Server(redis, settings.isDurable)
    this.ledger = new Ledger(this.server, settings.prefix, this.channel)
  }

  readonly get = (lookup: CacheStorage.Lookup): Effect.Effect<CacheItem, CacheMiss | CacheStorageError> =>
    Effect.flatMap(
      this.trying("get", lookup.key, () => this.find(lookup, (known) => this.read(lookup, known))),
      ({ isEmpty, item }) =>
        item === undefined
          ? new CacheMiss({ key: lookup.key, reason: isEmpty ? "uri-miss" : "vary-miss" })
          : Effect.succeed(item)
    )

  readonly begin = (lookup: CacheStorage.Lookup): Effect.Effect<CacheStorage.Fill, CacheStorageError> =>
    Effect.map(
      this.trying("begin", lookup.key, () => this.find(lookup, (known) => this.readAndBegin(lookup, known))),
      ({ item, page, run, values }) => {
        const [token, number] = values
        const since: Since = {
          run,
          token: textOf(token) ?? "",
          number: numberOf(number),
          epoch: page.epoch,
          name: page.name,
          count: page.count
        }
        return { lookup, item, since }
      }
    )

  readonly set = (
    item: CacheItem | undefined,
    fill: CacheStorage.Fill
  ): Effect.Effect<CacheStorage.Kept, CacheStorageError> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      this.trying("set", fill.lookup.key, () => {
        if (!isSince(fill.since)) return Promise.resolve<CacheStorage.Kept>("overtaken")
        return this.keep(item, fill, fill.since, now)
      }))

  readonly collect = (
    names: CollectableCacheStorage.Names,
    style?: CollectableCacheStorage.CollectStyle,
    own?: CacheStorage.Fill
  ): Effect.Effect<CacheStorage.Fill | void, CacheStorageError> =>
    this.trying("collect", names.keys[0] ?? names.groups[0] ?? "*", async () => {
      const force = forceOf(style)
      const keys = names.keys.map((key) => this.collectKey(key, force, style, own))
      const { everything = false, groups } = names
      const others = everything || groups.length > 0
        ? [this.ledger.collect(names, force, messageOf({ keys: [], groups, everything }, style))]
        : []
      const [fills] = await Promise.all([Promise.all(keys), Promise.all(others)])
      return fills.find((fill) => fill !== undefined)
    })

  readonly holds = (
    { groups, keys }: CollectableCacheStorage.Names,
    { lookup, since }: CacheStorage.Fill
  ): Effect.Effect<boolean, CacheStorageError> =>
    this.trying("holds", lookup.key, async () => {
      // Of other keys it is not known when they were collected.
      if (!isSince(since) || keys.some((key) => key !== lookup.key)) return false
      const { page, run, values } = await this.read(lookup, { lists: [], groups })
      const isOfKey = keys.length === 0 ||
        (run === since.run && textOf(values[0]) === since.token && numberOf(values[1]) === since.number)
      return isOfKey && forceSince(page, since, groups) === spared
    })

  private trying<A>(method: CacheStorageError["method"], key: string, run: () => Promise<A>) {
    return Effect.tryPromise({
      try: run,
      catch: (cause) => new CacheStorageError({ storage: "RedisCacheStorage", method, key, cause })
    })
  }

  /** In one trip, where what the place holds is known here. */
  private async find(lookup: CacheStorage.Lookup, read: (known: Known) => Promise<Read>): Promise<Found> {
    let known = this.places.of(lookup)
    for (let trip = 1;; trip++) {
      const place = await read(known)
      const lists = parseLists(place.values[marks.length])
      const records = place.values.slice(marks.length + 1).map((value) => this.recordOf(value, lookup, place))
      const found = records.filter((record) => record !== undefined)
      const groups = [...new Set(found.flatMap(({ item }) => item.groups))]
      const isKnown = knows(place.page, groups) && lists.every((list) => includes(known.lists, list))
      if (!isKnown && trip < maxTrips) {
        known = { lists: union(known.lists, lists), groups }
        continue
      }
      if (trip > 1) this.places.learn(lookup, { lists: lists.length === 0 ? known.lists : lists, groups })
      const items = found.flatMap((record) => isKnown ? this.answered(record, place) : [])
      // A record that would have been selected and is not there any more says nothing of other variants.
      const isEmpty = lists.length === 0 || place.values.slice(marks.length + 1).some(isBytes)
      const { page, run, values } = place
      return { page, run, values, item: CacheStorage.select(items, lookup), isEmpty }
    }
  }

  private async read(lookup: CacheStorage.Lookup, known: Known): Promise<Read> {
    const [hash] = keysOf(this.settings.prefix, lookup.key)
    const { redis } = this.server
    // In this order: what answers later tells which run has answered before.
    const values = redis.send(["HMGET", hash, ...fieldsOf(lookup, known)])
    const page = this.ledger.read(known.groups)
    const own = redis.isCluster ? this.server.witness(hash, []) : undefined
    const [read, ledger, witnessed] = await Promise.all([values, page, own])
    return { run: witnessed?.run ?? ledger.run, page: ledger, values: listOf(read) }
  }

  private async readAndBegin(lookup: CacheStorage.Lookup, known: Known): Promise<Read> {
    const { fillLasts, prefix } = this.settings
    const [hash] = keysOf(prefix, lookup.key)
    const token = this.newToken()
    const [reply, page] = await Promise.all([
      this.server.run(beginScript, [hash], [token, String(fillLasts), ...fieldsOf(lookup, known)]),
      this.ledger.begin(known.groups)
    ])
    const [run, values] = listOf(reply)
    return { run: this.server.runOf(hash, run), page, values: listOf(values ?? null) }
  }

  /** A record of this place that this run of the server keeps. */
  private recordOf(value: Reply, { key, partition }: CacheStorage.Lookup, { run }: Read): Record.Stored | undefined {
    const record = isBytes(value) ? Record.decode(value) : undefined
    if (record === undefined || record.run !== run) return undefined
    return record.item.key === key && record.item.partition === partition ? record : undefined
  }

  /** As the collects since it was stored have left it; none where they have forgotten it. */
  private answered(record: Record.Stored, { page, values: [, , unlessError, softly] }: Read): ReadonlyArray<CacheItem> {
    const { item, number } = record
    const ofOthers = forceSince(page, record, item.groups)
    const ofKey = numberOf(softly) > number ? soft : numberOf(unlessError) > number ? softUnlessError : spared
    const force = ofOthers > ofKey ? ofOthers : ofKey
    if (force === hard) return []
    return [answered(item, force)]
  }

  private async keep(
    item: CacheItem | undefined,
    fill: CacheStorage.Fill,
    since: Since,
    now: number
  ): Promise<CacheStorage.Kept> {
    const { isCluster } = this.server.redis
    const groups = item?.groups ?? []
    if (isCluster && forceSince(await this.ledger.read(groups), since, groups) !== spared) return "overtaken"
    for (let attempt = 1; attempt <= maxSets; attempt++) {
      const reply = await this.trySet(item, fill, since, now)
      const kept = textOf(reply)
      if (kept === "kept" && item !== undefined) this.places.add(fill.lookup, item)
      if (kept === "kept" || kept === "overtaken" || kept === "refused") return kept
      const { groups, lists } = this.places.of(fill.lookup)
      this.places.learn(fill.lookup, { groups, lists: union(lists, parseLists(listOf(reply)[0])) })
    }
    return "overtaken"
  }

  private trySet(
    item: CacheItem | undefined,
    { item: found, lookup }: CacheStorage.Fill,
    { count, epoch, name, number, run, token }: Since,
    now: number
  ): Promise<Reply> {
    const { fillLasts, maxItemBytes, maxVariants, prefix } = this.settings
    const variantOf = remembered(lookup.variantOf)
    const lists = this.places.of(lookup).lists.flatMap((list) => [textOfList(list), variantOf(list)])
    const lasts = Math.ceil((item?.retainUntil ?? now) - now)
    const record = item === undefined || lasts <= 0 ? undefined : Record.encode(item, { run, number, epoch, count })
    const members = membersOf(item?.groups ?? [])
    const keys = keysOf(prefix, lookup.key)
    return this.server.run(setScript, this.server.redis.isCluster ? keys : [...keys, this.ledger.key], [
      this.server.expected(run),
      token,
      String(number),
      lookup.partition,
      found?.id ?? "",
      String(lasts),
      String(fillLasts),
      String(maxVariants),
      item?.variant ?? "",
      textOfList(item?.vary ?? []),
      item?.id ?? "",
      record === undefined || record.byteLength > maxItemBytes ? "" : record,
      String(lists.length / 2),
      String(members.length),
      ...lists,
      name,
      String(count),
      ...members
    ])
  }

  /** The fill whose own collect it is, as it goes on. */
  private async collectKey(
    key: CacheStorage.CacheKey,
    force: Exclude<Force, 0>,
    style: CollectableCacheStorage.CollectStyle | undefined,
    own: CacheStorage.Fill | undefined
  ): Promise<CacheStorage.Fill | undefined> {
    const { fillLasts, prefix } = this.settings
    const since = own?.lookup.key === key && isSince(own.since) ? own.since : undefined
    const reply = await this.server.run(collectKey, keysOf(prefix, key), [
      letterOf[force],
      this.channel,
      messageOf({ keys: [key], groups: [] }, style),
      ...(since === undefined
        ? []
        : [this.server.expected(since.run), since.token, String(since.number), String(fillLasts), this.newToken()])
    ])
    if (own === undefined || since === undefined || !Array.isArray(reply)) return undefined
    const [token, number] = listOf(reply)
    return {
      lookup: own.lookup,
      item: undefined,
      since: { ...since, token: textOf(token) ?? "", number: numberOf(number) }
    }
  }

  private newToken(): string {
    return `${this.tokenPrefix}-${(++this.tokens).toString(36)}`
  }
}

const messageOf = (
  { everything = false, groups, keys }: CollectableCacheStorage.Names,
  style: CollectableCacheStorage.CollectStyle | undefined
): string => JSON.stringify({ keys, groups, everything, soft: style?.soft ?? false })

const isSince = (since: unknown): since is Since =>
  typeof since === "object" && since !== null && "token" in since && since.token !== ""
