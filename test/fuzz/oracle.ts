/** The oracle: of each answer, who may see it, and for how long it is fresh. */
import type { Headers } from "@effect/platform"
import { Duration } from "effect"
import { annotated } from "./exchanges.js"
import type { Fields, Options, Planned, Sent } from "./exchanges.js"

type Rule = "no-store" | "private" | "vary" | "cookies" | "authorization" | "credentials" | "unkeyed"

export interface Answer {
  readonly run: number
  readonly by: Sent
  readonly status: number
  readonly partition: string
  readonly rules: ReadonlyArray<Rule>
  readonly selects: Fields
  readonly fields: Fields
  /** When the handler has made it. Milliseconds. */
  readonly madeAt: number
}

export const members = (text: string | undefined): ReadonlyArray<string> =>
  text === undefined || text.includes("\"") ? [] : text.split(",").map((member) => member.trim().toLowerCase())

/** Only what is written plainly: of the rest the cache may think what it likes, as long as it is careful. */
export const rulesOf = (
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

const saysShared = (fields: Fields): boolean =>
  /public|s-maxage/i.test(`${fields["cache-control"]} ${fields["cdn-cache-control"]}`)

/** Request fields that this answer is the answer for. `earlier`: the answers before it. */
export const selectsOf = (
  options: Options,
  by: Sent,
  earlier: ReadonlyArray<Answer>,
  plan: Planned,
  given: Headers.Headers,
  reads: ReadonlySet<string>
): Fields => {
  const isOrigin = options.expiry !== undefined || options.sharedExpiry !== undefined
  // What a 304 freshens keeps the `public` that its own handler has said, unless the 304 says another thing.
  const keepsShared = plan.status === 304 && plan.fields["cache-control"] === undefined &&
    earlier.some(({ by: { path }, fields }) => path === by.path && saysShared(fields))
  // The handler's own `public` outranks what it read.
  const isOutranked = options.unkeyed === "refuse" &&
    (options.cacheControl === "public" || saysShared(plan.fields) || keepsShared)
  const says = (name: string) =>
    isOrigin && reads.has(name) && !reads.has("all") && options.unkeyed !== "ignore" && !isOutranked ||
    members(plan.fields["vary"]).includes(name) ||
    options.vary?.some((named) => (typeof named === "string" ? named : named.field).toLowerCase() === name) === true
  return Object.fromEntries(["x-a", "x-b"].filter(says).map((name) => [name, given[name] ?? "none"]))
}

export const isPrivate = (control: string | undefined): boolean =>
  (control ?? "").split(",").some((member) => ["private", "no-store"].includes(member.trim().toLowerCase()))

export const partitionOf = (options: Options, { fields }: Sent): string => {
  const named = fields["x-user"] ?? ""
  return options.partition === undefined ? "" : named
}

export const isAboutStored = ({ by, status }: Answer): boolean => status === 304 || by.method.toUpperCase() === "HEAD"

const isStored = (rules: ReadonlyArray<Rule>): boolean =>
  !rules.some((rule) => rule === "no-store" || rule === "cookies" || rule === "unkeyed")

/** Why this client may not see what another one's request was answered with; `undefined` when it may. */
export const leak = (options: Options, { by, partition, rules, selects }: Answer, to: Sent): string | undefined => {
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

/** No hit on this answer is fresh for longer. Milliseconds; `undefined` where that is not written plainly. */
export const freshFor = (options: Options, { fields }: Answer): number | undefined => {
  const { expiry, jitter, sharedExpiry } = options
  const isPlain = (expiry !== undefined || sharedExpiry !== undefined) && jitter === undefined &&
    fields["expires"] === undefined && fields["last-modified"] === undefined
  if (!isPlain) return undefined
  const secondsOf = (time: typeof expiry) =>
    typeof time === "number" ? time : time === undefined ? 0 : Duration.toSeconds(time)
  const stated = `${fields["cache-control"]} ${fields["cdn-cache-control"]}`.match(/\d+/g) ?? []
  return 1000 * Math.max(annotated, secondsOf(expiry), secondsOf(sharedExpiry), ...stated.map(Number))
}

/** Whether a success of this request forgets what is stored. */
export const isWrite = ({ method }: Sent): boolean => ["PATCH", "PUT", "DELETE"].includes(method)

/** What two requests with the same one ask for is the same. */
export const targetOf = ({ fields, path, query }: Sent): string => JSON.stringify([fields["host"], path, query])
