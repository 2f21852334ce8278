/** Generated pairs of requests with the response between them. */

export const seed = Number(process.env["DIFFERENTIAL_SEED"] ?? 9111)
export const second = 1000
export const url = "/x"

export type Fields = { readonly [name: string]: string }
export type List = ReadonlyArray<string>

/** Times are epoch milliseconds, in whole seconds. */
export interface Pair {
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

/** Of xorshift32. */
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
export const dates = new Map<string, number>()

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
export const selecting = Object.entries({
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

export const generate = (): Pair => {
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
