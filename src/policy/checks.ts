/** What an option must be: a `TypeError` says what was given and what is expected. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Check, check, isRecord, show, unless } from "../runtime/givenValues.js"
import { maxSeconds } from "../protocol/CacheControl.js"
import type { QuerySelection } from "../protocol/CacheKey.js"
import * as CacheGroups from "../protocol/CacheGroups.js"
import * as Fields from "../protocol/Fields.js"
import { uncounted } from "../protocol/Reads.js"
import * as Vary from "../protocol/Vary.js"
import type { DefaultOptions, Options, Seconds } from "../CachePolicy.js"
import type { VaryField } from "./varying.js"

const oneOf = (...words: ReadonlyArray<unknown>): Check =>
  unless((value) => words.includes(value), `one of ${words.map((word) => JSON.stringify(word)).join(", ")}`)

/** At most 2^31 seconds, which is for ever (RFC 9111 §1.2.2). */
export const toMillis = (input: Seconds): number | undefined => {
  if (typeof input === "number") return input >= 0 ? Math.min(input, maxSeconds) * 1000 : undefined
  if (typeof input === "string" && input.startsWith("-")) return undefined
  const millis = Option.map(Duration.decodeUnknown(input), Duration.toMillis)
  return Option.getOrUndefined(Option.map(millis, (millis) => Math.min(millis, maxSeconds * 1000)))
}

/** Milliseconds of a duration that a caller gives. Throws a `TypeError` that says what is expected. */
export const durationOf = (where: string, name: string, input: Seconds): number => {
  const millis = toMillis(input)
  if (millis !== undefined) return millis
  throw new TypeError(`${where}: ${name} is ${show(input)}; it must be ${duration}`)
}

const duration = "a number of seconds, 0 or more, or a Duration such as \"10 seconds\""

/** What a caller gives as a list. Throws a `TypeError` where it is none, as one text, or the promise of a list. */
export const listFrom = <A>(where: string, what: string, given: Iterable<A>): ReadonlyArray<A> => {
  if (typeof given !== "string" && Symbol.iterator in Object(given)) return [...given]
  throw new TypeError(`${where}: ${show(given)} is no list of ${what}`)
}

/** The groups that a caller gives. Throws a `TypeError` where one of them, or what is given, is none. */
export const groupsOf = (where: string, given: Iterable<unknown>): ReadonlyArray<string> =>
  listFrom(where, "groups", given).map((group) => {
    if (CacheGroups.isGroup(group)) return group
    throw new TypeError(`${where}: ${show(group)} is no text of at most ${CacheGroups.longestGroup} characters`)
  })

const seconds = unless((value) => toMillis(value as Seconds) !== undefined, duration)

const listOf = (isMember: (value: unknown) => boolean) => (value: unknown): boolean =>
  Array.isArray(value) && value.every(isMember)

const isString = (value: unknown): value is string => typeof value === "string"

const text = unless((value) => isString(value) && value !== "", "a text that isn't empty")

const isCount = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0

const isBoolean = (value: unknown): value is boolean => typeof value === "boolean"

const isFunction = (value: unknown): boolean => typeof value === "function"

const isOfStyle = ([name, value]: [string, unknown]): boolean =>
  value === undefined || (name === "name" ? isString(value) : ["detail", "key"].includes(name) && isBoolean(value))

/** Why a text is no name of a parameter: it would match nothing, and clients would be told of it. */
const notAName = (name: string): string | undefined => {
  if (name === "" || name.trim() !== name) return "is no name"
  if (/\*./s.test(name)) return "is no pattern; a * ends the beginning of names"
  if (name === "*") return "is every name"
  if (/^[?#]|[&=]/.test(name)) return "is more than a name"
  return /%[0-9a-f]{2}/i.test(name) ? "is encoded; a name is written as it reads after decoding" : undefined
}

const isSelection = (value: unknown): value is Exclude<QuerySelection, string> => {
  if (!isRecord(value)) return false
  const { except, only, sort, ...others } = value
  if (Object.keys(others).length > 0 || (except !== undefined && only !== undefined)) return false
  const isAnything = except !== undefined || only !== undefined || sort !== undefined
  return isAnything && [except, only].every((names) => names === undefined || listOf(isString)(names)) &&
    (sort === undefined || isBoolean(sort))
}

const query: Check = (value) => {
  if (value === "all" || value === "none") return undefined
  if (!isSelection(value)) {
    return "\"all\", \"none\", { only: [names] } or { except: [names] }, with sort: true or without, or { sort: true }"
  }
  const reasons = (value.only ?? value.except ?? []).map((name) => [name, notAName(name)] as const)
  const wrong = reasons.find(([, reason]) => reason !== undefined)
  return wrong === undefined ? undefined : `made of names of search parameters; ${JSON.stringify(wrong[0])} ${wrong[1]}`
}

const isStatus = (value: unknown): boolean =>
  Number.isInteger(value) && Number(value) >= 200 && Number(value) < 600 && value !== 206 && value !== 304

/** A token may have a `*`, but no field has one in its name. */
const isFieldName = (name: unknown): boolean => isString(name) && Fields.isToken(name) && !name.includes("*")

const isVarying = (value: unknown): value is string | VaryField =>
  isFieldName(value) ||
  (isRecord(value) && Object.keys(value).every((name) => name === "field" || name === "as") &&
    isFieldName(value["field"]) && isFunction(value["as"]))

const vary: Check = (value) => {
  if (!Array.isArray(value) || !value.every(isVarying)) {
    return "a list of request field names, such as [\"Accept-Language\"], or of { field, as } with a function of the value"
  }
  const names = value.map((each) => (isString(each) ? each : each.field).toLowerCase())
  if (Vary.isPersonal(names)) {
    return "without Cookie and Authorization; the option partition keeps a copy for each user"
  }
  const normalised = names.filter((_, index) => !isString(value[index]))
  if (normalised.some((name) => uncounted.has(name))) {
    return "without { field, as } for a field that is part of the key, or that HTTP evaluates"
  }
  return normalised.some((name) => names.indexOf(name) !== names.lastIndexOf(name))
    ? "without another member for a field that has { field, as }"
    : undefined
}

const isOrigin = (value: unknown): value is string => {
  if (!isString(value) || !/^https?:\/\/[^*]+$/.test(value)) return false
  return URL.canParse(value) && new URL(value).origin === value
}

// RFC 5646 §2.1
const isLanguage = (tag: unknown): boolean => isString(tag) && /^[a-z]{1,8}(?:-[a-z0-9]{1,8})*$/i.test(tag)

/** What a server has, by preference. Throws a `TypeError` where it is no list of such, or an empty one. */
const offered = (
  given: unknown,
  isMember: (value: unknown) => boolean,
  where: string,
  what: string,
  expected: string
) => {
  if (Array.isArray(given) && given.length > 0 && given.every(isMember)) return
  throw new TypeError(`${where}: the ${what} are ${show(given)}; they must be ${expected}`)
}

export const languages = (given: unknown): void =>
  offered(
    given,
    isLanguage,
    "CachePolicy.acceptLanguage",
    "languages",
    "a list of language tags, such as [\"en\", \"pt-BR\"], the default first"
  )

export const codings = (given: unknown): void =>
  offered(
    given,
    isFieldName,
    "CachePolicy.acceptEncoding",
    "codings",
    "a list of content codings, such as [\"br\", \"gzip\"], the best first"
  )

/** An origin that a caller gives. Throws a `TypeError` where it is none. */
export const originOf = (where: string, origin: string): string => {
  if (isOrigin(origin)) return origin
  throw new TypeError(
    `${where}: origin is ${show(origin)}; it must be scheme and host such as "https://api.example.com"`
  )
}

const optionChecks: { readonly [Name in keyof Required<Options>]: Check } = {
  name: text,
  expiry: seconds,
  sharedExpiry: seconds,
  staleWhileRevalidate: seconds,
  refreshWait: seconds,
  staleIfError: seconds,
  errorBackOff: seconds,
  retain: seconds,
  jitter: unless((value) => typeof value === "number" && value >= 0 && value <= 1, "a number from 0 to 1"),
  deadline: seconds,
  maxWaiters: unless(isCount, "a whole number, 0 or more"),
  cacheControl: oneOf("public", "private"),
  clients: oneOf("expiry", "revalidate", "nothing"),
  vary,
  unkeyed: oneOf("vary", "refuse", "ignore"),
  partition: unless(Effect.isEffect, "an Effect that names whose response it is"),
  query,
  etag: oneOf("strong", "weak", "none"),
  statuses: unless(
    (value) =>
      listOf(isStatus)(value) ||
      (isRecord(value) && Object.entries(value).every(([status, expiry]) =>
        isStatus(Number(status)) && expiry !== undefined && seconds(expiry) === undefined
      )),
    "a list of statuses from 200 to 599 without 206 and 304, or the expiry of some of them as in { 404: 5 }"
  ),
  cookies: oneOf("refuse", "strip", "store"),
  requestDirectives: oneOf("honor", "ignore"),
  groups: unless(isFunction, "a function from the request and the response to a list of groups"),
  targets: unless(
    listOf(isFieldName),
    "a list of response field names, such as [\"CDN-Cache-Control\"]"
  ),
  bypass: unless(isFunction, "a function from the request to a boolean"),
  lane: oneOf(true, false),
  maxBodyBytes: unless(isCount, "a whole number of bytes, 0 or more"),
  cacheStatus: unless(
    (value) =>
      value === false ||
      (isRecord(value) && value["name"] !== "" && Object.entries(value).every(isOfStyle)),
    "false, or { name, detail, key }, a text that isn't empty and two booleans"
  )
}

const { lane: _, name: __, ...commonChecks } = optionChecks

const defaultsChecks: { readonly [Name in keyof Required<DefaultOptions>]: Check } = {
  ...commonChecks,
  origin: unless(
    (value) => value === "request" || isOrigin(value),
    "\"request\", or scheme and host such as \"https://api.example.com\""
  ),
  version: text,
  storageTimeout: seconds,
  enabled: unless(Effect.isEffect, "an Effect that answers a boolean")
}

const clientChecks: { readonly [name: string]: Check } = {
  shared: oneOf(true, false),
  staleWhileRevalidate: optionChecks.staleWhileRevalidate,
  staleIfError: optionChecks.staleIfError,
  maxBodyBytes: optionChecks.maxBodyBytes
}

const collectChecks: { readonly [name: string]: Check } = {
  query: optionChecks.query,
  also: unless(isFunction, "a function from the request and the response to a list of URIs"),
  groups: optionChecks.groups,
  soft: oneOf(true, false, "unless-error")
}

/** Each of these answers the options that it has checked. */
export const route = <Given extends object>(where: string, options: Given): Given => {
  const taken: Given & Options<never> = check(where, "option", options, optionChecks)
  if (taken.lane !== true) return taken
  const personal = taken.partition !== undefined
    ? "a partition"
    : taken.cacheControl === "private"
    ? "cacheControl \"private\""
    : undefined
  if (personal === undefined) return taken
  throw new TypeError(
    `${where}: lane is true beside ${personal}; the lane answers everybody with the same response: leave one of them out`
  )
}

export const defaults = (where: string, options: DefaultOptions): DefaultOptions =>
  check(where, "option", options, defaultsChecks)

/** `withCollect` has options of its own. */
export const collect = <Given extends object>(where: string, options: Given): Given =>
  check(where, "option", options, collectChecks)

/** The cache of a client has few. */
export const client = <Given extends object>(where: string, options: Given): Given =>
  check(where, "option", options, clientChecks)
