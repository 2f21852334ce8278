/**
 * A rule rewrites a pair into words that mean the same by its section, and that they read as we do. Rules explain a
 * disagreement when by them they come to our verdict, which stays, and would not without one of them.
 */
import { dates, type List, type Pair, second, selecting, url } from "./pairs.js"
import { ours, theirPolicy, theirs } from "./verdicts.js"

export const parts = ["request", "response", "nextRequest"] as const
export type Part = (typeof parts)[number]

const token = "[!#$%&'*+.^_`|~0-9a-z-]+"
const directive = new RegExp(`^${token}(=(${token}|"(\\\\.|[^"\\\\])*"))?$`, "i")
export const qualified = new RegExp(`^(no-cache|private)=("?)${token}(,\\s*${token})*\\2$`, "i")

/** A comma in quotes separates nothing. */
export const members = (value = ""): List =>
  (value.match(/(?:[^,"]|"(?:\\.|[^"\\])*")+/g) ?? []).map((member) => member.trim()).filter((member) => member !== "")

export const nameOf = (member: string): string => member.toLowerCase().split(/[=\s]/)[0]!
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
export const rules: { readonly [because: string]: (pair: Pair) => Pair } = {
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
export const explain = (pair: Pair): List | undefined => {
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
