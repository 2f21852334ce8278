/**
 * Random exchanges through the door, and an oracle that knows of each answer who may see it. A function of the seed.
 *
 * The clock stands still until all who run wait, and goes to the next sleep then, so that a request which never ends is
 * seen after a number of turns.
 */
import { Cookies, Headers, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Cause, Effect, Exit, Fiber, Layer, Logger, ManagedRuntime, Random, Stream } from "effect"
import { CacheError, CollectableCacheStorage, HttpCache, InMemoryCacheStorage } from "effect-http-cache"
import type { CacheStorage } from "effect-http-cache"
import { setImmediate } from "node:timers/promises"
import { Dice, Hands } from "./simulation.js"

export interface Plan {
  readonly seed: number
  readonly exchanges: number
  /** Of one storage. */
  readonly exchangesPerWorld?: number
  /** Stands between the cache and the storage, or the client: to see that what is broken is found. */
  readonly storage?: (service: CollectableCacheStorage.Service) => CollectableCacheStorage.Service
  readonly reply?: (response: HttpServerResponse.HttpServerResponse) => HttpServerResponse.HttpServerResponse
  readonly onWorld?: (done: number) => void
}

/** How often what is worth a look has come about: a run that never hits finds nothing. */
export type Tally = { [what: string]: number }

export class Found extends Error {}

type Fields = Record<string, string>
type Rule = "no-store" | "private" | "vary" | "cookies" | "authorization" | "credentials" | "unkeyed"

// What is sent

const limits = { maxBytes: 48 * 1024, maxItemBytes: 6 * 1024, maxItems: 12, maxVariants: 4 }

const crumbs = [
  ..."\",\\=;:/*?<>@()[]{}'%-+. \t\u0001\u0008\u001f\u007f\u00e9\u00ff",
  ..."max-age=60|max-age|s-maxage=60|private|no-store|no-cache|public|must-revalidate|private=\"x-made-for\"".split(
    "|"
  ),
  ..."no-cache=\"etag|max-age=\"60|max-stale|only-if-cached|min-fresh=1|stale-if-error=99|W/|\"v1\"|W/\"v1|*".split(
    "|"
  ),
  ..."bytes=|0-2|-5|9-|0-0,2-2|bytes 0-2/9|Basic |Bearer |sid=|__proto__|constructor|toString|hasOwnProperty".split(
    "|"
  ),
  ..."99999999999999999999999|-1|1e9|NaN|0x10|00|2147483649|Thu, 01 Jan 1970 00:00:00 GMT|\"\\\"|cookie|accept".split(
    "|"
  ),
  ..."Authorization|x-a|gzip;q=|q=0.|;q=1|text/event-stream|/|//|http://|chunked|close".split("|")
]

const nasty = (dice: Dice): string => {
  const text = Array.from({ length: dice.below(7) }, () => dice.one(crumbs) + dice.one(["", "", ",", ", ", " "])).join(
    ""
  )
  return dice.is(0.01) ? text.repeat(200) : text
}

/** A nasty value where the dice say so, else one of the sane ones; `undefined` is none. */
const value = (dice: Dice, sane: ReadonlyArray<string | undefined>, chance = 0.06): string | undefined =>
  dice.is(chance) ? nasty(dice) : dice.one(sane)

const fieldsOf = (entries: ReadonlyArray<readonly [string, string | undefined]>): Fields =>
  Object.fromEntries(entries.flatMap(([name, value]) => value === undefined ? [] : [[name, value]]))

const none = undefined
const dates = ["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 01 Jan 2038 00:00:00 GMT"]
const paths = ["/a", "/b/c", "/constructor", "/__proto__", "/%", "/d%2Fe"]
const queries = [
  "",
  "",
  "",
  "",
  "",
  "",
  "",
  "",
  "",
  "",
  "?",
  "?a=1",
  "?a=1&a=2",
  "?a=2&b=1",
  "?constructor",
  "?__proto__=1",
  "?%",
  "?b=%zz&&="
]
const methods = [
  ...Array.from({ length: 40 }, () => "GET"),
  ..."HEAD HEAD HEAD HEAD QUERY QUERY QUERY QUERY POST PATCH PUT DELETE OPTIONS head FOO constructor".split(" ")
]
const oddNames = ["__proto__", "constructor", "tostring", "x-!#$", "accept", "cookie2", "x-made-for", "expect", "te"]
const controls = [
  ...Array.from({ length: 10 }, () => undefined),
  ..."max-age=60|max-age=600|max-age=5|public, max-age=60|public, max-age=600|s-maxage=30|max-age=0".split("|"),
  ..."private|no-store|private, max-age=60|no-cache|must-revalidate, max-age=30|public, no-cache".split("|"),
  ..."max-age=60, private=\"x-made-for\"|max-age=60, no-cache=\"x-made-for\"|No-Store, must-understand".split("|"),
  ..."Private, public|max-age=1, stale-while-revalidate=60|max-age=1, stale-if-error=60|max-age=9, max-age=8".split("|")
]

interface Sent {
  readonly index: number
  readonly identity: number
  readonly path: string
  readonly query: string
  readonly method: string
  readonly fields: Fields
  readonly content: string | undefined
  readonly isAborted: boolean
  readonly readsAll: boolean
}

interface Planned {
  readonly delay: number
  readonly outcome: "answers" | "fails" | "dies"
  readonly status: number
  readonly body: "text" | "stream" | "broken stream" | "empty" | "raw"
  readonly bytes: number
  readonly fields: Fields
  readonly cookie: boolean
  readonly reads: ReadonlyArray<string>
  readonly says: "refuse" | "annotate" | undefined
}

const sent = (dice: Dice, index: number, tags: ReadonlyArray<string>): Sent => {
  const identity = dice.below(4)
  const method = dice.one(methods)
  const condition = () => value(dice, ["\"v1\"", "*", "\"v1\", W/\"v2\"", ...tags])
  const may = (chance: number, of: () => string | undefined) => dice.is(chance) ? of() : undefined
  const fields = fieldsOf([
    ["x-identity", String(identity)],
    ["x-user", dice.one([none, `u${identity % 3}`, `u${identity % 3}`, `u${identity % 3}`, "", "fails"])],
    ["x-a", dice.one([none, "1", "2"])],
    ["x-b", dice.one([none, none, "1", "2"])],
    ["authorization", may(0.12, () => value(dice, [`Bearer ${identity}`]))],
    ["cookie", may(0.25, () => value(dice, [`sid=${identity}`]))],
    ["accept-language", may(0.1, () => value(dice, ["de", "en, de;q=0.5"]))],
    [
      "cache-control",
      may(0.1, () => value(dice, ["no-cache", "no-store", "max-age=0", "max-stale", "only-if-cached"], 0.3))
    ],
    ["pragma", may(0.03, () => value(dice, ["no-cache"]))],
    ["if-none-match", may(0.12, condition)],
    ["if-match", may(0.03, condition)],
    ["if-modified-since", may(0.05, () => value(dice, dates))],
    ["if-unmodified-since", may(0.02, () => value(dice, dates))],
    ["range", may(0.08, () => value(dice, ["bytes=0-2", "bytes=-3", "bytes=0-0,2-2", "bytes=9999-"], 0.3))],
    ["if-range", may(0.03, () => value(dice, ["\"v1\"", ...tags, ...dates]))],
    ["host", may(0.04, () => value(dice, ["localhost", "elsewhere", "LOCALHOST:80"]))],
    ["content-length", may(0.01, () => nasty(dice))],
    ["transfer-encoding", may(0.01, () => nasty(dice))],
    ...dice.some(oddNames, dice.is(0.1) ? 3 : 0).map((name) => [name, nasty(dice)] as const)
  ])
  return {
    index,
    identity,
    path: dice.is(0.7) ? paths[0]! : dice.one(paths),
    query: dice.one(queries),
    method,
    fields,
    content: ["GET", "HEAD", "head"].includes(method) || dice.is(0.4) ? undefined : dice.one(["", "x", "y=1"]),
    isAborted: dice.is(0.02),
    readsAll: !dice.is(0.05)
  }
}

const planned = (dice: Dice): Planned => ({
  delay: dice.is(0.75) ? 0 : dice.one([1, 1, 100, 100, 2000, 2000, 20_000, 90_000]),
  outcome: dice.is(0.95) ? "answers" : dice.one(["fails", "dies"]),
  status: dice.is(0.75)
    ? 200
    : dice.one([203, 204, 206, 206, 299, 301, 304, 304, 404, 410, 412, 416, 500, 503, 503, 599, 199]),
  body: dice.is(0.7) ? "text" : dice.one(["stream", "stream", "stream", "broken stream", "empty", "raw"]),
  bytes: dice.is(0.03) ? 20_000 : dice.is(0.1) ? 0 : dice.below(2500),
  fields: fieldsOf([
    ["cache-control", value(dice, controls, 0.1)],
    ["cdn-cache-control", dice.is(0.05) ? value(dice, ["max-age=60", "no-store", "private"], 0.4) : none],
    ["vary", dice.is(0.15) ? value(dice, ["x-a", "x-a, accept-language", "Cookie", "*", "accept"], 0.3) : none],
    ["etag", dice.is(0.4) ? value(dice, ["\"v1\"", "\"v1\"", "\"v2\"", "W/\"v1\"", "mine"], 0.1) : none],
    ["last-modified", dice.is(0.15) ? value(dice, dates, 0.3) : none],
    ["expires", dice.is(0.05) ? value(dice, dates, 0.4) : none],
    ["date", dice.is(0.03) ? value(dice, dates, 0.4) : none],
    ["age", dice.is(0.03) ? value(dice, ["0", "7", "99999999999"], 0.4) : none],
    ["content-range", dice.is(0.06) ? value(dice, ["bytes 0-2/9", "bytes 0-2/*"], 0.3) : none],
    ["content-location", dice.is(0.08) ? value(dice, ["/a", "/b/c?a=1", "//", "?a=1"], 0.2) : none],
    ["location", dice.is(0.05) ? value(dice, ["/a", "http://localhost/a"], 0.3) : none],
    ["content-length", dice.is(0.02) ? nasty(dice) : none],
    ["content-type", dice.is(0.03) ? value(dice, ["text/event-stream", "text/plain"], 0.4) : none],
    ["connection", dice.is(0.02) ? value(dice, ["close", "x-made-for"], 0.4) : none],
    ["cache-status", dice.is(0.02) ? nasty(dice) : none],
    ["no-vary-search", dice.is(0.02) ? nasty(dice) : none],
    ...dice.some(oddNames.filter((name) => name !== "x-made-for"), dice.is(0.1) ? 2 : 0)
      .map((name) => [name, nasty(dice)] as const)
  ]),
  cookie: dice.is(0.04),
  reads: dice.is(0.3)
    ? dice.some(["x-a", "x-a", "x-b", "cookie", "cookies", "authorization", "all", "remote", "constructor", "url"], 3)
    : [],
  says: dice.is(0.05) ? dice.one(["refuse", "annotate"]) : undefined
})

// Routes

type Options = HttpCache.Options<HttpServerRequest.HttpServerRequest>

const user = Effect.flatMap(
  HttpServerRequest.HttpServerRequest,
  ({ headers }) => headers["x-user"] === "fails" ? Effect.fail("nobody") : Effect.succeed(headers["x-user"])
)

const optionsOf = (dice: Dice): Options => {
  const set = <Name extends keyof Options>(name: Name, chance: number, values: ReadonlyArray<Options[Name]>): Options =>
    dice.is(chance) ? { [name]: dice.one(values) } : {}
  return {
    ...set("expiry", 0.75, [60, 60, 10, 0, "1 hour"]),
    ...set("sharedExpiry", 0.1, [30, 0]),
    ...set("staleWhileRevalidate", 0.3, [60, 600]),
    ...set("staleIfError", 0.3, [60, 600]),
    ...set("retain", 0.15, [0, 30, 3600]),
    ...set("jitter", 0.1, [0.5, 1]),
    ...set("deadline", 0.4, [1, 5, 30]),
    ...set("maxWaiters", 0.15, [0, 1, 2]),
    ...set("cacheControl", 0.25, ["public", "private"]),
    ...set("clients", 0.3, ["revalidate", "nothing"]),
    ...set("vary", 0.25, [["x-b"], ["X-B", "Accept-Language"]]),
    ...set("unkeyed", 0.25, ["vary", "refuse", "ignore"]),
    ...set("partition", 0.3, [user]),
    ...set("query", 0.3, ["none", { only: ["a"] }, { except: ["a", "__proto__"] }]),
    ...set("etag", 0.3, ["strong", "weak", "none"]),
    ...set("statuses", 0.1, [[200, 503], [200, 404]]),
    ...set("cookies", 0.3, ["strip", "store"]),
    ...set("requestDirectives", 0.3, ["honor", "ignore"]),
    ...set("targets", 0.15, [["CDN-Cache-Control"]]),
    ...set("maxBodyBytes", 0.1, [0, 1000]),
    ...set("cacheStatus", 0.3, [{ detail: true }, { detail: true, key: true }])
  }
}

// The oracle

interface Answer {
  readonly run: number
  readonly by: Sent
  readonly status: number
  readonly partition: string
  readonly rules: ReadonlyArray<Rule>
  readonly selects: Fields
  readonly fields: Fields
}

const members = (text: string | undefined): ReadonlyArray<string> =>
  text === undefined || text.includes("\"") ? [] : text.split(",").map((member) => member.trim().toLowerCase())

/** Only what is written plainly: of the rest the cache may think what it likes, as long as it is careful. */
const rulesOf = (
  options: Options,
  method: string,
  plan: Planned,
  given: Headers.Headers,
  reads: ReadonlySet<string>
): Array<Rule> => {
  const { fields } = plan
  const control = fields["cache-control"]
  const target = options.targets === undefined ? undefined : fields["cdn-cache-control"]
  const mentions = (...words: ReadonlyArray<string>) =>
    words.some((word) => `${control} ${target}`.toLowerCase().includes(word))
  const binding = target === undefined ? members(control) : []
  const isOrigin = options.expiry !== undefined || options.sharedExpiry !== undefined
  const isShared = mentions("public", "s-maxage") || options.cacheControl === "public"
  const rules: Array<Rule> = []
  if (plan.says === "refuse") rules.push("no-store")
  if (binding.includes("no-store") && !mentions("must-understand")) rules.push("no-store")
  if (binding.includes("private") || options.cacheControl === "private") rules.push("private")
  if (members(fields["vary"]).some((name) => name === "cookie" || name === "authorization")) rules.push("vary")
  if (plan.cookie && (options.cookies ?? "refuse") === "refuse") rules.push("cookies")
  // What a 304 or a HEAD freshens may itself say that it may be shared.
  if (isShared || plan.status === 304 || method.toUpperCase() === "HEAD") return rules
  if (given["authorization"] !== undefined && !mentions("must-revalidate")) rules.push("authorization")
  if (!isOrigin) return rules
  if (["cookie", "cookies", "authorization"].some((name) => reads.has(name))) rules.push("credentials")
  if (reads.has("all")) rules.push(options.unkeyed === "ignore" ? "credentials" : "unkeyed")
  if (reads.has("remote") && options.unkeyed !== "ignore") rules.push("unkeyed")
  return rules
}

/** Request fields that this answer is the answer for. */
const selectsOf = (options: Options, plan: Planned, given: Headers.Headers, reads: ReadonlySet<string>): Fields => {
  const isOrigin = options.expiry !== undefined || options.sharedExpiry !== undefined
  // The handler's own `public` outranks what it read.
  const isOutranked = options.unkeyed === "refuse" && (options.cacheControl === "public" ||
    /public|s-maxage/i.test(`${plan.fields["cache-control"]} ${plan.fields["cdn-cache-control"]}`))
  const says = (name: string) =>
    isOrigin && reads.has(name) && !reads.has("all") && options.unkeyed !== "ignore" && !isOutranked ||
    members(plan.fields["vary"]).includes(name) ||
    options.vary?.some((named) => named.toLowerCase() === name) === true
  return Object.fromEntries(["x-a", "x-b"].filter(says).map((name) => [name, given[name] ?? "none"]))
}

const isPrivate = (control: string | undefined): boolean =>
  (control ?? "").split(",").some((member) => ["private", "no-store"].includes(member.trim().toLowerCase()))

const partitionOf = (options: Options, { fields }: Sent): string => {
  const named = fields["x-user"] ?? ""
  return options.partition === undefined ? "" : named
}

const isAboutStored = ({ by, status }: Answer): boolean => status === 304 || by.method.toUpperCase() === "HEAD"

const isStored = (rules: ReadonlyArray<Rule>): boolean =>
  !rules.some((rule) => rule === "no-store" || rule === "cookies" || rule === "unkeyed")

/** Why this client may not see what another one's request was answered with; `undefined` when it may. */
const leak = (options: Options, { by, partition, rules, selects }: Answer, to: Sent): string | undefined => {
  if (by === to) return undefined
  if (partition !== partitionOf(options, to)) return "of another partition"
  if (partition === "fails") return "of nobody"
  if (!isStored(rules) || (rules.length > 0 && partition === "")) return rules.join()
  if (by.path !== to.path) return "of another path"
  if ((options.query === undefined) && by.query !== to.query && !(by.query + to.query === "?")) {
    return "of another query"
  }
  if ((by.fields["host"] ?? "localhost").length > 12 || to.fields["host"] === "elsewhere") {
    if (by.fields["host"] !== to.fields["host"]) return "of another host"
  }
  if (!["GET", "HEAD", "QUERY", "POST"].includes(by.method.toUpperCase())) return "of another method"
  if ((by.method === "QUERY") !== (to.method === "QUERY") || (by.method === "QUERY" && by.content !== to.content)) {
    return "of another query's content"
  }
  const other = Object.keys(selects).find((name) => selects[name] !== (to.fields[name] ?? "none"))
  return other === undefined ? undefined : `for another ${other}`
}

// One world

class Failure extends Error {
  readonly _tag = "Failure"
}
class Defect extends Error {}

/** Turns of the event loop in which nothing happens before the clock goes on, and before it is a hang. */
const quiet = 3
const endless = 3000
const longest = 3_600_000

/** What the handler is given, looked at without reading it. */
const given = Symbol("given")
const prototype: unknown = Object.getPrototypeOf(HttpServerRequest.fromWeb(new Request("http://localhost/")))
Object.defineProperty(prototype, given, {
  get(this: HttpServerRequest.HttpServerRequest) {
    return this.headers
  }
})

const world = async (plan: Plan, number: number, count: number, tally: Tally): Promise<void> => {
  const dice = new Dice(Math.imul(plan.seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b))
  const clock = new Hands()
  const answers: Array<Answer> = []
  const tags: Array<string> = []
  const lookups = new Map<string, CacheStorage.Lookup>()
  let trouble = 0
  const tell = (what: string) => {
    tally[what] = (tally[what] ?? 0) + 1
  }

  const storage = Effect.map(Layer.build(InMemoryCacheStorage.layerWith(limits)), (context) => {
    const inner = context.unsafeMap.get(
      CollectableCacheStorage.CollectableCacheStorage.key
    ) as CollectableCacheStorage.Service
    const service = plan.storage === undefined ? inner : plan.storage(inner)
    const spied = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.suspend((): Effect.Effect<A, E | CacheError.CacheStorageError> => {
        if (trouble === 0) return effect
        trouble--
        return Effect.fail(
          new CacheError.CacheStorageError({ storage: "fuzz", method: "get", key: "", cause: "trouble" })
        )
      })
    return CollectableCacheStorage.CollectableCacheStorage.of({
      get: (lookup) => spied(service.get(lookup)),
      set: (item, lookup) => {
        lookups.delete(item.id)
        lookups.set(item.id, lookup)
        if (lookups.size > 200) lookups.delete(lookups.keys().next().value!)
        return spied(service.set(item, lookup))
      },
      collect: (key) => spied(service.collect(key))
    })
  })
  const runtime = ManagedRuntime.make(Layer.merge(
    CollectableCacheStorage.layer(storage),
    Logger.remove(Logger.defaultLogger)
  ))

  const routes = new Map(paths.map((path) => {
    const options = optionsOf(dice)
    const around = dice.is(0.5) ? HttpCache.withCache(options) : HttpCache.middleware(options)
    return [path, { options, around }]
  }))

  const answering = (options: Options, by: Sent, plan: Planned) =>
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const present = (request as unknown as { readonly [given]: Headers.Headers })[given]
      if (plan.delay > 0) yield* Effect.sleep(plan.delay)
      if (plan.outcome === "fails") return yield* Effect.fail(new Failure())
      if (plan.outcome === "dies") return yield* Effect.die(new Defect())
      for (const name of plan.reads) {
        if (name === "all") JSON.stringify({ ...request.headers })
        else if (name === "remote") String(request.remoteAddress)
        else if (name === "cookies") JSON.stringify(request.cookies)
        else if (name === "url") String(request.url + request.originalUrl + request.method)
        else String(request.headers[name])
      }
      if (plan.says === "refuse") yield* HttpCache.refuse
      if (plan.says === "annotate") yield* HttpCache.annotate({ expiry: 20 })

      const reads = new Set(plan.reads)
      const run = answers.length
      const mark = `run-${run}-`
      answers.push({
        run,
        by,
        status: plan.status,
        partition: partitionOf(options, by),
        rules: rulesOf(options, by.method, plan, present, reads),
        selects: selectsOf(options, plan, present, reads),
        fields: plan.fields
      })
      tell("runs")
      const { etag, ...others } = plan.fields
      const headers = Headers.fromInput({
        ...others,
        ...(etag === undefined ? {} : { etag: etag === "mine" ? `"${mark}"` : etag }),
        "x-made-for": `${mark}${by.identity}`
      })
      const text = `${mark}${by.identity} `.padEnd(plan.bytes, ".")
      const response = bodyOf(plan, text, headers)
      return plan.cookie ? HttpServerResponse.unsafeSetCookie(response, "sid", `${mark}${by.identity}`) : response
    })

  const found = (what: string, { path, ...to }: Sent, more: object): never => {
    const { options } = routes.get(path)!
    throw new Found(
      `${what}\n${JSON.stringify({ seed: plan.seed, world: number, path, options, to, ...more }, shown, 2)}`
    )
  }

  const inspect = (to: Sent, response: HttpServerResponse.HttpServerResponse, text: string): void => {
    const { options } = routes.get(to.path)!
    const { headers, status } = response
    const reply = { status, headers, text: text.slice(0, 200) }
    if (headers["etag"] !== undefined) tags[to.index % 4] = headers["etag"].slice(0, 80)
    const status9211 = /effect-http-cache; ?(hit|fwd=[a-z-]+)[^,]*$/.exec(headers["cache-status"] ?? "")?.[1] ??
      "untold"
    tell(status9211)
    if (/[\r\n\0]/.test(Object.values(headers).join(""))) found("a line break in a field", to, { reply })
    const seen = `${text} ${JSON.stringify(headers)} ${Cookies.toSetCookieHeaders(response.cookies).join()}`
    for (const [, run] of seen.matchAll(/run-(\d+)-/g)) {
      const answer = answers[Number(run)]!
      const why = leak(options, answer, to)
      if (why !== undefined) found(`a leak: ${why}`, to, { reply, answer })
      if (answer.by !== to) tell("shared")
    }
    const made = /^run-(\d+)-/.exec(headers["x-made-for"] ?? "")?.[1]
    if (made === undefined || options.expiry === undefined) return
    if (!["GET", "HEAD", "QUERY"].includes(to.method) || ["fwd=bypass", "fwd=method"].includes(status9211)) return
    const { rules: all, ...answer } = answers[Number(made)]!
    // A Vary that can't be read as a list of names is `*` to whoever reads it; where there is a partition, who may share
    // it is the handler's or the route's to say.
    const isRead = members(answer.fields["vary"]).every((name) => /^[\w!#$%&'+.^`|~-]*$/.test(name))
    const saysShared = ({ fields }: Pick<Answer, "fields">) => /public|s-maxage/i.test(String(fields["cache-control"]))
    const isShared = answer.partition !== "" && saysShared(answer)
    // So may what a later 304 or HEAD freshened.
    if (answers.some((later) => later.by.path === to.path && isAboutStored(later) && saysShared(later))) return
    const rules = all.filter((rule) => rule !== "vary" || (isRead && !isShared))
    if (rules.length === 0) return
    tell("private")
    if (!isPrivate(headers["cache-control"])) found("a private answer that may be shared", to, { reply, rules, answer })
  }

  const send = (to: Sent, plan_: Planned) => {
    const { around, options } = routes.get(to.path)!
    const request = requestOf(to)
    const app = around(answering(options, to, plan_))
    return Effect.scoped(Effect.gen(function*() {
      const given = yield* app
      const response = plan.reply === undefined ? given : plan.reply(given)
      const { body } = response
      // A stream may break, whoever's it is; what came of it counts.
      const chunks: Array<string> = []
      const chunk = (bytes: Uint8Array) => void chunks.push(Buffer.from(bytes).toString("latin1"))
      if (body._tag === "Uint8Array") chunk(body.body)
      if (body._tag === "Stream" && to.method !== "HEAD") {
        const stream = to.readsAll ? body.stream : Stream.take(body.stream, 1)
        const read = Stream.runForEach(stream, (bytes) => Effect.sync(() => chunk(bytes)))
        yield* Effect.catchAll(read, () => Effect.sync(() => tell("broken streams")))
      }
      return { response, text: chunks.join("") }
    })).pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(request)),
      Effect.withClock(clock),
      Effect.withRandom(Random.make(to.index))
    )
  }

  const bounds = async (last: Sent): Promise<void> => {
    const held = new Map<string, { readonly bytes: number; readonly place: string }>()
    for (const lookup of lookups.values()) {
      const service = await runtime.runPromise(CollectableCacheStorage.CollectableCacheStorage)
      const exit = await runtime.runPromiseExit(Effect.withClock(service.get(lookup), clock))
      if (Exit.isFailure(exit)) continue
      const { body, id, key, partition } = exit.value
      held.set(id, { bytes: body.byteLength, place: JSON.stringify([key, partition]) })
    }
    const items = [...held.values()]
    const variants = new Map<string, number>()
    for (const { place } of items) variants.set(place, (variants.get(place) ?? 0) + 1)
    const is = {
      maxItems: items.length,
      maxBytes: items.reduce((sum, { bytes }) => sum + bytes, 0),
      maxItemBytes: Math.max(0, ...items.map(({ bytes }) => bytes)),
      maxVariants: Math.max(0, ...variants.values())
    }
    tally["most held"] = Math.max(tally["most held"] ?? 0, is.maxItems)
    for (const name of ["maxItems", "maxBytes", "maxItemBytes", "maxVariants"] as const) {
      if (is[name] > limits[name]) found(`a bound that does not hold: ${name}`, last, is)
    }
  }

  try {
    for (let index = 0; index < count;) {
      const size = Math.min(count - index, dice.is(0.5) ? 1 : 1 + dice.below(6))
      const first = sent(dice, index, tags)
      // Who comes at once asks for the same, mostly.
      const batch = Array.from({ length: size }, (_, at) => {
        const other = at === 0 ? first : sent(dice, index + at, tags)
        const to = dice.is(0.7) ? { ...other, path: first.path, query: first.query } : other
        const plan = planned(dice)
        return { to, plan, fiber: runtime.runFork(send(to, plan)), isEnded: false }
      })
      index += size
      for (const ask of batch) {
        ask.fiber.addObserver(() => {
          ask.isEnded = true
        })
      }
      if (dice.is(0.02)) trouble = 1 + dice.below(3)
      const since = clock.now
      let idle = 0
      let isAborted = false
      for (;;) {
        if (batch.every(({ isEnded }) => isEnded)) break
        await setImmediate()
        if (++idle < quiet) continue
        if (!isAborted) {
          isAborted = true
          for (const { fiber, to } of batch) if (to.isAborted) fiber.unsafeInterruptAsFork(fiber.id())
        }
        if (clock.now - since < longest && clock.step()) idle = 0
        const hangs = batch.find(({ isEnded }) => !isEnded)
        if (idle > endless && hangs !== undefined) {
          found("a request that never ends", hangs.to, { batch: batch.map(({ plan, to }) => ({ plan, to })) })
        }
      }
      for (const { fiber, plan, to } of batch) {
        const exit = await Effect.runPromise(Fiber.await(fiber))
        if (Exit.isSuccess(exit)) {
          inspect(to, exit.value.response, exit.value.text)
          continue
        }
        const failures = [...Cause.failures(exit.cause)]
        const defects = [...Cause.defects(exit.cause)]
        const isOwn = to.isAborted ||
          (failures.length + defects.length > 0 && failures.every((failure) => failure instanceof Failure) &&
            defects.every((defect) => defect instanceof Defect) && plan.outcome !== "answers")
        tell(to.isAborted ? "aborted" : "failed")
        if (!isOwn) found("a failure that is not the handler's", to, { plan, cause: Cause.pretty(exit.cause) })
      }
      if (dice.is(0.25)) {
        const until = clock.now + dice.one([10, 1000, 10_000, 40_000, 120_000])
        while (clock.step(until)) await setImmediate()
        clock.now = until
      }
      if (index === count || dice.is(0.01)) {
        trouble = 0
        await bounds(first)
      }
    }
    for (let step = 0; step < 1000 && clock.step(clock.now + longest); step++) await setImmediate()
  } finally {
    await runtime.dispose()
  }
}

const bodyOf = (plan: Planned, text: string, headers: Headers.Headers): HttpServerResponse.HttpServerResponse => {
  const { status } = plan
  if (plan.body === "empty") return HttpServerResponse.empty({ status, headers })
  if (plan.body === "raw") return HttpServerResponse.raw(new Response(text), { status, headers })
  if (plan.body === "text") return HttpServerResponse.text(text, { status, headers })
  const bytes = new TextEncoder().encode(text)
  const chunks = Stream.fromIterable([bytes.slice(0, 20), bytes.slice(20)])
  const paced = plan.delay % 200 === 0
    ? chunks
    : Stream.mapEffect(chunks, (bytes) => Effect.delay(Effect.succeed(bytes), 50))
  const ended = plan.body === "stream" ? paced : Stream.concat(paced, Stream.fail(new Failure()))
  return HttpServerResponse.stream(ended, { status, headers })
}

/** What no web Request can have is left out. */
const requestOf = ({ content, fields, method, path, query }: Sent): Request => {
  const headers = new globalThis.Headers()
  for (const [name, value] of Object.entries(fields)) {
    try {
      headers.append(name, value)
    } catch {
      continue
    }
  }
  return new Request(`http://localhost${path}${query}`, { method, headers, body: content ?? null })
}

const shown = (_: string, value: unknown): unknown => Effect.isEffect(value) ? "by x-user" : value

/** Rejects with the first exchange that went wrong. */
export const fuzz = async (plan: Plan): Promise<Tally> => {
  const { exchanges, exchangesPerWorld = 500 } = plan
  const tally: Tally = {}
  for (let done = 0, number = 0; done < exchanges; done += exchangesPerWorld, number++) {
    await world(plan, number, Math.min(exchangesPerWorld, exchanges - done), tally)
    plan.onWorld?.(Math.min(done + exchangesPerWorld, exchanges))
  }
  return tally
}
