/**
 * Ours and `http-cache-semantics` as shared caches: generated pairs of requests with the response between them. A rule
 * rewrites a pair into words that mean the same by its section, and that they read as we do. Rules explain a disagreement
 * when by them they come to our verdict, which stays, and would not without one of them.
 */
import { expect, it } from "@effect/vitest"
import CachePolicy from "http-cache-semantics"
import * as CacheControl from "../src/protocol/CacheControl.js"
import * as CacheKey from "../src/protocol/CacheKey.js"
import * as Preconditions from "../src/protocol/Preconditions.js"
import * as Reuse from "../src/protocol/Reuse.js"
import * as Storability from "../src/protocol/Storability.js"
import * as Vary from "../src/protocol/Vary.js"

const seed = Number(process.env["DIFFERENTIAL_SEED"] ?? 9111)
const pairs = 10_000
const second = 1000
const url = "/x"

type Fields = { readonly [name: string]: string }
type List = ReadonlyArray<string>

/** Times are epoch milliseconds, in whole seconds. */
interface Pair {
  readonly method: string
  readonly request: Fields
  readonly sentAt: number
  readonly answeredAt: number
  readonly status: number
  readonly response: Fields
  readonly nextMethod: string
  readonly nextRequest: Fields
  readonly askedAt: number
}

type Verdict = "refused" | "stored" | "reusable"

const unset = { expiry: undefined, sharedExpiry: undefined, cacheControl: undefined, staleIfError: undefined }
const none = { statuses: new Set<number>(), vary: [], targets: [] }
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

const ours = ({ answeredAt, askedAt, method, nextRequest, request, response, sentAt, status }: Pair): Verdict => {
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
    isRepeatable: false
  }
  const variant = (fields: Fields) => Vary.variant(kept.vary, fields, { depth: 0 })
  const isFresh = Reuse.decide(kept, asks, askedAt)._tag === "Fresh"
  return isFresh && variant(request) === variant(nextRequest) ? "reusable" : "stored"
}

let now = 0
// They ask to be patched for tests.
Object.assign(CachePolicy.prototype, { now: () => now })

const theirPolicy = ({ answeredAt, askedAt, method, request, response, status }: Pair): CachePolicy => {
  now = answeredAt
  const policy = new CachePolicy({ url, method, headers: request }, { status, headers: response })
  now = askedAt
  return policy
}

const theirs = (pair: Pair): Verdict => {
  const policy = theirPolicy(pair)
  const isReusable = policy.satisfiesWithoutRevalidation({ url, method: pair.nextMethod, headers: pair.nextRequest })
  return !policy.storable() ? "refused" : isReusable ? "reusable" : "stored"
}

// The generator: xorshift32

let state = seed

const random = (): number => {
  for (const shift of [13, -17, 5]) state ^= shift > 0 ? state << shift : state >>> -shift
  return (state >>> 0) / 4_294_967_296
}

const chance = (percent: number): boolean => random() * 100 < percent
const pick = <A>(list: ReadonlyArray<A>): A => list[Math.floor(random() * list.length)]!
const maybe = (percent: number, name: string, value: () => string): Fields => chance(percent) ? { [name]: value() } : {}

const seconds = [0, 10, 30, 60, 600, 600, 3600, 86_400]
const statuses = [200, 203, 204, 299, 301, 302, 307, 403, 404, 410, 416, 451, 500, 501, 503]

/** With their percentages. */
const responseDirectives =
  ("no-cache,4|no-store,2|private,4|must-revalidate,5|proxy-revalidate,4|public,15|immutable,9|stale-if-error=60,5|" +
    "no-transform,5|stale-while-revalidate=30,5|no-cache=\"x-a\",2|no-cache=\"X-A, no-store, x-b\",1|private=\"x-a\",2|" +
    "private=x-a,1|community=\"UCI\",2|community=\"a, no-store, b\",2").split("|")

/** What can't be read, or not by everyone. */
const responseOddities =
  ("max-age=|max-age=\"\"|max-age|max-age=abc|max-age=1.5|max-age=-1|max-age=60s|max-age=\"60\"|=||" +
    "max-age=99999999999|max-age = 60|max-age=600 no-store|max-age=600 private|no-store;max-age=60|max-age=600, max-age=5|" +
    "s-maxage=abc|s-maxage=30x|s-maxage=|s-maxage=600, s-maxage=5|no-store=\"\"|no-store=1|private=\"\"|private=\"a b\"|" +
    "no-cache=\"\"|no-cache=@|foo=bar").split("|")

const requestOddities =
  ("max-age=|max-age=1.5|max-age=abc|max-age=600, max-age=5|min-fresh=abc|min-fresh=5, min-fresh=600|" +
    "min-fresh=600, min-fresh=5|max-stale=abc|max-stale=5, max-stale=600|no-cache=\"\"|no-store=\"\"|" +
    "foo=\"bar, no-cache, no-store\"").split("|")

const spell = (list: List): Fields => {
  const shuffled = list.map((text) => [random(), text] as const).sort(([a], [b]) => a - b).map(([, text]) => text)
  const text = shuffled.join(pick([", ", ", ", ",", " ,\t"]))
  const spelled = chance(90) ? text : pick([text.toUpperCase(), text.replace(/\b[a-z]/g, (c) => c.toUpperCase())])
  return list.length === 0 ? {} : { "cache-control": spelled }
}

const responseControl = (): Fields =>
  spell([
    ...(chance(78) ? [`max-age=${pick(seconds)}`] : []),
    ...(chance(12) ? [`s-maxage=${pick(seconds)}`] : []),
    ...(chance(5) ? ["must-understand", ...(chance(70) ? ["no-store"] : [])] : []),
    ...responseDirectives.flatMap((text) => chance(Number(/\d+$/.exec(text))) ? [text.replace(/,\d+$/, "")] : []),
    ...(chance(7) ? [pick(responseOddities)] : [])
  ])

const wish = (): string => {
  if (chance(15)) return pick(requestOddities)
  const limits = [`max-age=${pick(seconds)}`, `min-fresh=${pick(seconds)}`, "max-stale"]
  const few = `max-stale=${pick([10, 20, 50])}`
  return pick([...limits, few, few, "no-cache", "no-store", "only-if-cached", "no-transform"])
}

const requestControl = (percent: number): Fields =>
  chance(percent) ? spell(chance(40) ? [wish(), wish()] : [wish()]) : {}

/** Those in one of the three forms, by their text. */
const dates = new Map<string, number>()

const dateText = (time: number): string => {
  const imf = new Date(time).toUTCString()
  const [name, date, month, year, clock] = imf.split(/,? /) as [string, string, string, string, string]
  const rfc850 = `${name}day, ${date}-${month}-${year.slice(2)} ${clock} GMT`
  const asctime = `${name} ${month} ${date.replace(/^0/, " ")} ${clock} ${year}`
  const right = chance(75) ? imf : pick([rfc850, asctime, imf.toLowerCase(), imf.replace(name, "Fri")])
  for (const text of [imf, right]) dates.set(text, time)
  const others = [imf.replace("GMT", "UTC"), imf.replace("GMT", "+0000"), imf.slice(0, -4), imf.slice(5), String(time)]
  const wrong = [...others, new Date(time).toISOString(), "Sat, 31 Feb 2026 12:00:00 GMT", "0", "-1", "soon"]
  return chance(90) ? right : pick(wrong)
}

/** Spellings of the same value, the plainest first, and other values. */
const selecting = Object.entries({
  "accept-encoding": { same: "gzip, br|gzip,br|GZIP,\tbr;q=1.0", others: "br, gzip|gzip|gzip, br;q=0.5|" },
  "accept-language": { same: "en, fr;q=0.5|EN,fr; q=0.50|fr;q=0.5,en", others: "en|fr, en;q=0.5" },
  "x-a": { same: "a, b|a,b|a\t, b", others: "b, a|A, b|\"a, b\"|\"a,b\"|" }
}).map(([name, { others, same }]) => ({ name, same: same.split("|"), others: others.split("|") }))

const selectingFields = (): Fields =>
  selecting.reduce((fields, { name, others, same }) => ({
    ...fields,
    ...maybe(85, name, () => chance(70) ? same[0]! : pick(chance(50) ? same : others))
  }), {})

const varies = ["Accept-Encoding", "accept-language,X-A", "X-A, Accept-Encoding", "Origin", ""]
const oddVaries = ["*", "x-a, *", "cookie", "Accept, Authorization", "x a"]

const generate = (): Pair => {
  const sentAt = Date.UTC(2026, 0, 5, 12)
  const answeredAt = sentAt + (chance(20) ? pick([1, 2, 5]) : 0) * second
  const written = answeredAt - (chance(20) ? pick([-30, 5, 20, 300, 4000]) : 0) * second
  // Not a multiple of ten seconds before, of which a tenth would be a whole second: their fractions round.
  const modified = written - pick([105, 10_005, 1_000_005, 30_000_005, 30_000_005, 30_000_005, -5]) * second
  const method = chance(94) ? "GET" : pick(["HEAD", "POST"])
  const request = {
    ...requestControl(14),
    ...maybe(4, "authorization", () => "Basic YTpi"),
    ...selectingFields()
  }
  const response = {
    ...(chance(90) ? responseControl() : {}),
    ...maybe(75, "date", () => dateText(written)),
    ...maybe(25, "expires", () => dateText(written + pick([-60, 5, 30, 600, 90_000]) * second)),
    ...maybe(40, "last-modified", () => dateText(modified)),
    ...maybe(60, "etag", () => "\"v1\""),
    ...maybe(18, "age", () => pick(["0", "5", "20", "700", "5, 100", "-5", "5.5", "10s", "soon", "99999999999"])),
    ...maybe(4, "set-cookie", () => "session=ada"),
    ...maybe(3, "pragma", () => "no-cache"),
    ...maybe(16, "vary", () => pick(chance(80) ? varies : oddVaries)),
    ...maybe(method === "POST" ? 70 : 0, "content-location", () => pick([url, url, "/y"]))
  }
  const nextRequest = {
    ...requestControl(24),
    ...maybe(6, "pragma", () => pick(["no-cache", "No-Cache", "x-no-cache"])),
    ...maybe(3, pick(["if-match", "if-unmodified-since"]), () => "\"v1\""),
    ...selectingFields()
  }
  const askedAt = answeredAt + pick(chance(10) ? [100_000, 200_000] : [1, 5, 10, 20, 30, 50, 60]) * second
  const status = chance(86) ? 200 : pick(statuses)
  const nextMethod = chance(96) ? "GET" : "HEAD"
  return { method, request, sentAt, answeredAt, status, response, nextMethod, nextRequest, askedAt }
}

// The rules

const parts = ["request", "response", "nextRequest"] as const
type Part = (typeof parts)[number]

const token = "[!#$%&'*+.^_`|~0-9a-z-]+"
const directive = new RegExp(`^${token}(=(${token}|"(\\\\.|[^"\\\\])*"))?$`, "i")
const qualified = new RegExp(`^(no-cache|private)=("?)${token}(,\\s*${token})*\\2$`, "i")

/** A comma in quotes separates nothing. */
const members = (value = ""): List =>
  (value.match(/(?:[^,"]|"(?:\\.|[^"\\])*")+/g) ?? []).map((member) => member.trim()).filter((member) => member !== "")

const nameOf = (member: string): string => member.toLowerCase().split(/[=\s]/)[0]!
const only = (list: List, name: string): List => list.filter((member) => nameOf(member) === name)
const without = (list: List, ...names: List): List => list.filter((member) => !names.includes(nameOf(member)))

const edit = (pair: Pair, part: Part, fields: { readonly [name: string]: string | undefined }): Pair => {
  const edited = { ...pair[part], ...fields }
  for (const name in fields) if (fields[name] === undefined) delete edited[name]
  return { ...pair, [part]: edited }
}

const control = (parts: ReadonlyArray<Part>) => (change: (list: List) => List) => (pair: Pair): Pair =>
  parts.filter((part) => "cache-control" in pair[part]).reduce((pair, part) => {
    const list = members(pair[part]["cache-control"])
    return edit(pair, part, { "cache-control": change(list).join(", ") })
  }, pair)
const [inAll, inResponse, inNext] = [control(parts), control(["response"]), control(["nextRequest"])]

const says = ({ response }: Pair, ...names: List): boolean =>
  members(response["cache-control"]).some((member) => names.includes(nameOf(member)) && !qualified.test(member))

const ofNoUse = (isSo: (pair: Pair) => boolean) => (pair: Pair): Pair =>
  isSo(pair) ? edit(pair, "response", { "cache-control": "no-store" }) : pair

const canonicalDate = (pair: Pair, name: string, otherwise?: string): Pair => {
  if (pair.response[name] === undefined) return pair
  const time = dates.get(pair.response[name])
  return edit(pair, "response", { [name]: time === undefined ? otherwise : new Date(time).toUTCString() })
}

const lifetime = (name: "max-age" | "s-maxage") => (list: List): List => {
  const values = only(list, name).filter((member) => directive.test(member))
    .map((member) => /="?(\d+)"?$/.exec(member)?.[1])
  const isOne = values.every((value) => value !== undefined && value === values[0])
  if (isOne) return list.map((member) => member.replace(/=\d{11,}$/, `=${2 ** 31}`))
  const permits = name === "max-age" || values.some((value) => value !== undefined)
  if (permits) return [...without(list, name), `${name}=0`]
  return [...without(list, name, "max-age"), "max-age=0", "proxy-revalidate"]
}

const restriction = (member: string): List => {
  const isBare = /^(no-store|no-cache|private)=/i.test(member) && !qualified.test(member)
  if (directive.test(member)) return [isBare ? nameOf(member) : member]
  return (member.match(new RegExp(token, "gi")) ?? []).map((name) => name === "max-age" ? "max-age=0" : name)
}

const isWish = (member: string): boolean => /^[a-z-]+(=\d+)?$/i.test(member)
const wishes = (name: string) => (list: List): List =>
  without(list, name).concat(only(list, name).slice(0, 1).filter(isWish))

const isExplicit = (pair: Pair): boolean => "expires" in pair.response || says(pair, "max-age", "s-maxage")
/** Statuses with a meaning to caches that theirs knows. */
const known = [200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501]

const canonicalSelection = (pair: Pair, part: "request" | "nextRequest"): Pair =>
  selecting.reduce(
    (pair, { name, same }) => same.includes(pair[part][name] ?? "-") ? edit(pair, part, { [name]: same[0] }) : pair,
    pair
  )

/** In this order. */
const rules: { readonly [because: string]: (pair: Pair) => Pair } = {
  "RFC 9111 §5.2: directives are compared without regard to case": (pair) =>
    parts.reduce((pair, part) => {
      const { "cache-control": control, pragma } = pair[part]
      return edit(pair, part, { "cache-control": control?.toLowerCase(), "pragma": pragma?.toLowerCase() })
    }, pair),
  "RFC 9111 §5.2: a comma in a quoted-string separates nothing": inAll((list) =>
    list.map((text) => qualified.test(text) ? text : text.replace(/".*"/, (quoted) => quoted.replaceAll(",", "")))
  ),
  "RFC 9111 §5.2: a wrong argument or a missing comma lifts no restriction": inAll((list) => list.flatMap(restriction)),
  "RFC 9111 §1.2.2, §4.2.1: a lifetime that conflicts, or is no number, is none": (pair) =>
    inNext(lifetime("max-age"))(inResponse(lifetime("max-age"))(inResponse(lifetime("s-maxage"))(pair))),
  "RFC 9111 §4.2.1: the first of several wishes counts; what is no number is no wish": (pair) =>
    inNext(wishes("min-fresh"))(inNext(wishes("max-stale"))(pair)),
  "RFC 9111 §5.2.2.4, §5.2.2.7: the qualified form is about the fields it names": inResponse((list) =>
    list.filter((text) => !qualified.test(text))
  ),
  "RFC 9111 §5.2.2.3: must-understand lifts no-store where the status is understood": (pair) =>
    says(pair, "must-understand") && [...known, 451].includes(pair.status)
      ? inResponse((list) => without(list, "must-understand", "no-store"))(pair)
      : pair,
  "RFC 9111 §3: a status that means nothing to caches may be stored as any other": (pair) =>
    says(pair, "must-understand") || [...known, 416].includes(pair.status) ? pair : { ...pair, status: 302 },
  "RFC 9110 §5.6.7, RFC 9111 §5.3: there are three forms of a date; other Expires are past": (pair) =>
    canonicalDate(canonicalDate(canonicalDate(pair, "expires", "0"), "date"), "last-modified"),
  "RFC 9111 §4.2.3, §5.1: Age is a number, and Date and the delay of the answer count too": (pair) => {
    const { answeredAt, response: { age = "", date = "" }, sentAt } = pair
    const value = Math.min(Number(/^\d+(?=$|,)/.exec(age)?.[0] ?? 0), 2 ** 31) * second
    const initial = Math.max(answeredAt - (dates.get(date) ?? answeredAt), value + answeredAt - sentAt)
    return { ...edit(pair, "response", { age: String(initial / second) }), sentAt: answeredAt }
  },
  "RFC 9111 §3: without a lifetime and a validator it is of no use": ofNoUse((pair) =>
    !isExplicit(pair) && !("etag" in pair.response) && !dates.has(pair.response["last-modified"] ?? "")
  ),
  "RFC 9111 §4.2.2: a heuristic lifetime is limited, ours to a day": (pair) => {
    const { date, "last-modified": modified } = pair.response
    const limit = (dates.get(date ?? "") ?? pair.answeredAt) - 864_000 * second
    const isBefore = (dates.get(modified ?? "") ?? limit) < limit
    return isBefore ? edit(pair, "response", { "last-modified": new Date(limit).toUTCString() }) : pair
  },
  "RFC 8246 §2: immutable makes nothing fresh": inResponse((list) => without(list, "immutable")),
  "RFC 9111 §7.3: what sets a cookie or is selected by who asks isn't shared": ofNoUse(({ response }) =>
    "set-cookie" in response || /cookie|authorization/i.test(response["vary"] ?? "")
  ),
  "RFC 9111 §4.1: with a Vary of *, or one that can't be read, it is of no use": ofNoUse(({ response }) =>
    members(response["vary"]).some((name) => name === "*" || name.includes(" "))
  ),
  "RFC 9111 §4.1: what says the same in other words selects the same": (pair) =>
    canonicalSelection(canonicalSelection(pair, "request"), "nextRequest"),
  "RFC 9111 §4.2.4: no-cache, s-maxage, -revalidate forbid what is stale; the last only that": (pair) => {
    if (!says(pair, "no-cache", "must-revalidate", "proxy-revalidate", "s-maxage")) return pair
    const permitted = says(pair, "must-revalidate") ? edit(pair, "request", { authorization: undefined }) : pair
    const fresh = inResponse((list) => without(list, "must-revalidate", "proxy-revalidate"))(permitted)
    return inNext((list) => without(list, "max-stale"))(fresh)
  },
  "RFC 9111 §5.4: Pragma is a request's, and counts where there is no Cache-Control": (pair) => {
    const { "cache-control": asked, pragma } = pair.nextRequest
    const asks = asked ?? (members(pragma).includes("no-cache") ? "no-cache" : undefined)
    const request = edit(pair, "nextRequest", { "pragma": undefined, "cache-control": asks })
    return edit(request, "response", { pragma: undefined })
  },
  "RFC 9111 §4.3.2: If-Match and If-Unmodified-Since are for the origin": (pair) =>
    "if-match" in pair.nextRequest || "if-unmodified-since" in pair.nextRequest
      ? edit(pair, "nextRequest", { "cache-control": "no-cache" })
      : pair,
  "RFC 9110 §9.3.2, §9.3.3: GET answers HEAD, and POST answers GET where it names its URI and a lifetime": (pair) => {
    const isForGet = pair.status === 200 && isExplicit(pair) && pair.response["content-location"] === url
    const method = pair.method === "POST" && isForGet ? "GET" : pair.method
    return ofNoUse(({ method }) => method !== "GET")({ ...pair, method, nextMethod: "GET" })
  },
  "RFC 9111 §5.2.1.2: what is stale for as long as max-stale says is accepted": (pair) => {
    const policy = theirPolicy(pair)
    const limit = `max-stale=${policy.age() - policy.maxAge()}`
    return inNext((list) => list.map((text) => text === limit ? "max-stale" : text))(pair)
  }
}

/** The fewest rules that bring theirs to our verdict; `undefined` when all of them don't, or when they change ours. */
const explain = (pair: Pair): List | undefined => {
  const verdict = ours(pair)
  const agrees = (list: List): boolean => {
    const rewritten = list.reduce((pair, because) => rules[because]!(pair), pair)
    return theirs(rewritten) === verdict && ours(rewritten) === verdict
  }
  const all = Object.keys(rules)
  if (!agrees(all)) return undefined
  if (theirs(pair) === verdict) return []
  const one = all.find((because) => agrees([because]))
  return one !== undefined ? [one] : all.reduce((list, because) => {
    const others = list.filter((other) => other !== because)
    return agrees(others) ? others : list
  }, all)
}

const directivesOf = (pair: Pair) => (part: Part): List =>
  members(pair[part]["cache-control"]).map((text) =>
    `${part} ${nameOf(text)}${qualified.test(text) ? "=\"field\"" : /^max-stale=/i.test(text) ? "=n" : ""}`
  )

const requestNames = "max-age|min-fresh|max-stale|max-stale=n|no-cache|no-store|only-if-cached|no-transform".split("|")
const responseNames =
  ("max-age|s-maxage|no-cache|no-cache=\"field\"|no-store|private|private=\"field\"|must-revalidate|" +
    "proxy-revalidate|public|must-understand|immutable|no-transform|stale-while-revalidate|stale-if-error").split("|")

it(`ours and http-cache-semantics disagree only where a rule says so, DIFFERENTIAL_SEED=${seed}`, () => {
  const counts = new Map(Object.keys(rules).map((because) => [because, 0]))
  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1)
  const percent = (name: string) => (counts.get(name) ?? 0) / pairs * 100
  const unexplained: Array<unknown> = []
  for (const pair of Array.from({ length: pairs }, generate)) {
    const verdicts = `ours ${ours(pair)}, theirs ${theirs(pair)}`
    const because = explain(pair)
    if (because === undefined) unexplained.push({ verdicts, ...pair })
    for (const name of new Set([verdicts, ...parts.flatMap(directivesOf(pair)), ...because ?? []])) count(name)
  }
  const lines = [...counts.keys()].sort().map((name) => `${percent(name).toFixed(2).padStart(6)} %  ${name}`)
  process.stdout.write(`${lines.join("\n")}\n`)
  expect(unexplained.slice(0, 3)).toEqual([])
  expect(Object.keys(rules).filter((because) => percent(because) === 0)).toEqual([])
  expect(requestNames.filter((name) => percent(`request ${name}`) < 1 || percent(`nextRequest ${name}`) < 1)).toEqual(
    []
  )
  expect(responseNames.filter((name) => percent(`response ${name}`) < 1)).toEqual([])
  expect(percent("ours reusable, theirs reusable"), "reusable, and so storable").toBeGreaterThanOrEqual(20)
}, 60_000)
