/** What is sent, what a handler answers, and the options of routes, by the dice. */
import { HttpServerRequest } from "@effect/platform"
import { Effect } from "effect"
import type { HttpCache } from "effect-http-cache"
import type { Dice } from "../simulation.js"

export type Fields = Record<string, string>

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
export const paths = ["/a", "/b/c", "/constructor", "/__proto__", "/%", "/d%2Fe"]
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

/** The expiry that some handlers say by `HttpCache.annotate`. Seconds. */
export const annotated = 20

export interface Sent {
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

export interface Planned {
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

export const sent = (dice: Dice, index: number, tags: ReadonlyArray<string>): Sent => {
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

export const planned = (dice: Dice): Planned => ({
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

export type Options = HttpCache.Options<HttpServerRequest.HttpServerRequest>

const user = Effect.flatMap(
  HttpServerRequest.HttpServerRequest,
  ({ headers }) => headers["x-user"] === "fails" ? Effect.fail("nobody") : Effect.succeed(headers["x-user"])
)

export const optionsOf = (dice: Dice): Options => {
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
