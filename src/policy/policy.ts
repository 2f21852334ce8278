/** The policy that the options of a route and of the application come to. */
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import type * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import type { DefaultOptions, GroupsOf, Options, Seconds } from "../CachePolicy.js"
import type { Advice } from "../protocol/CacheControl.js"
import type { QuerySelection } from "../protocol/CacheKey.js"
import type { Style } from "../protocol/CacheStatus.js"
import type * as Storability from "../protocol/Storability.js"
import * as Vary from "../protocol/Vary.js"
import * as checks from "./checks.js"

/** The options in force for one route, as far as no binding is needed for them. Milliseconds. */
export interface Policy extends Storability.Policy, Advice {
  readonly name: string | undefined
  /** There is a `partition`: private responses are stored, a copy for each. */
  readonly isPartitioned: boolean
  readonly unkeyed: "vary" | "refuse" | "ignore"
  /** By the fields that are normalised for key and handler. */
  readonly normalising: ReadonlyMap<string, Vary.Normalise>
  readonly query: QuerySelection
  readonly etag: "strong" | "weak" | "none"
  readonly cookies: "refuse" | "strip" | "store"
  readonly honorsRequest: boolean
  readonly deadline: number
  readonly maxWaiters: number
  readonly storageTimeout: number
  readonly refreshWait: number
  readonly errorBackOff: number
  readonly cacheStatus: Style | undefined
  readonly origin: string | undefined
  readonly version: string | undefined
  readonly enabled: Effect.Effect<boolean, unknown> | undefined
  /** The lane may answer: nothing has to be asked of the request first. */
  readonly lane: boolean
}

/** The same, with what the binding to the server runs itself. */
export interface ServerPolicy<R> extends Policy {
  readonly partition: Effect.Effect<string | undefined, unknown, R | HttpServerRequest> | undefined
  readonly bypass: ((request: HttpServerRequest) => boolean) | undefined
  readonly groups: ReadonlyArray<GroupsOf>
  readonly statusOfError: StatusOfError | undefined
}

/** The status that a failure is answered with further outside; `undefined`: as the platform answers it. */
export type StatusOfError = (cause: Cause.Cause<unknown>) => Effect.Effect<number | undefined>

const defaultStatuses = [200, 203, 204, 300, 301, 308, 404, 410]
type Statuses = NonNullable<Options["statuses"]>

const defaultMaxBodyBytes = 4 * 1024 * 1024
const defaultDeadline = 60_000
const defaultMaxWaiters = 10_000
const defaultStorageTimeout = 250
const defaultName = "effect-http-cache"

const millisOf = (input: Seconds | undefined) => input === undefined ? undefined : checks.toMillis(input)

const isList = (statuses: Statuses): statuses is ReadonlyArray<number> => Array.isArray(statuses)

/** The statuses that a route names. */
export const namedIn = (statuses: Statuses): ReadonlyArray<number> =>
  isList(statuses) ? statuses : Object.keys(statuses).map(Number)

const statusesOf = (given: Statuses): ReadonlyMap<number, number | undefined> =>
  isList(given)
    ? new Map(given.map((status) => [status, undefined]))
    : new Map([
      ...defaultStatuses.map((status) => [status, undefined] as const),
      ...Object.entries(given).map(([status, expiry]) => [Number(status), millisOf(expiry)] as const)
    ])

type Varying = NonNullable<Options["vary"]>

const fieldOf = (each: Varying[number]): string => (typeof each === "string" ? each : each.field).toLowerCase()

/** What is said last of a field counts. */
const normalisingOf = (varying: Varying): ReadonlyMap<string, Vary.Normalise> => {
  const last = new Map(varying.map((each) => [fieldOf(each), each]))
  return new Map([...last].flatMap(([field, each]) => typeof each === "string" ? [] : [[field, each.as.bind(each)]]))
}

const merge = <R>(
  route: Options<R>,
  defaults: DefaultOptions,
  statusOfError: StatusOfError | undefined
): ServerPolicy<R> => {
  /** A route's own option goes before that of the application. */
  const given = <Name extends keyof Options & keyof DefaultOptions>(name: Name) => route[name] ?? defaults[name]
  const sharedExpiry = given("sharedExpiry")
  const statuses = given("statuses") ?? defaultStatuses
  const isBySome = sharedExpiry !== undefined || !isList(statuses)
  const expiry = given("expiry") ?? (isBySome ? 0 : undefined)
  const partition = route.partition ?? defaults.partition
  const cacheStatus = given("cacheStatus") ?? {}
  const bypass = given("bypass")
  const varying = [...defaults.vary ?? [], ...route.vary ?? []]
  return {
    shared: true,
    name: route.name,
    expiry: millisOf(expiry),
    sharedExpiry: millisOf(sharedExpiry),
    staleWhileRevalidate: millisOf(given("staleWhileRevalidate")),
    refreshWait: millisOf(given("refreshWait")) ?? 0,
    staleIfError: millisOf(given("staleIfError")),
    errorBackOff: millisOf(given("errorBackOff")) ?? 0,
    jitter: given("jitter") ?? 0,
    deadline: millisOf(given("deadline")) ?? defaultDeadline,
    maxWaiters: given("maxWaiters") ?? defaultMaxWaiters,
    storageTimeout: millisOf(defaults.storageTimeout) ?? defaultStorageTimeout,
    retain: millisOf(given("retain")),
    cacheControl: given("cacheControl"),
    clients: given("clients") ?? "expiry",
    vary: Vary.of(varying.map(fieldOf)),
    normalising: normalisingOf(varying),
    unkeyed: given("unkeyed") ?? (expiry === undefined ? "ignore" : "vary"),
    partition,
    isPartitioned: partition !== undefined,
    query: given("query") ?? "all",
    etag: given("etag") ?? (expiry === undefined ? "none" : "strong"),
    statuses: statusesOf(statuses),
    cookies: given("cookies") ?? "refuse",
    honorsRequest: (given("requestDirectives") ?? (expiry === undefined ? "honor" : "ignore")) === "honor",
    bypass,
    maxBodyBytes: given("maxBodyBytes") ?? defaultMaxBodyBytes,
    cacheStatus: cacheStatus === false ? undefined : {
      name: cacheStatus.name ?? defaultName,
      detail: cacheStatus.detail ?? false,
      key: cacheStatus.key ?? false
    },
    groups: [route.groups, defaults.groups].filter((groups) => groups !== undefined),
    statusOfError,
    targets: (given("targets") ?? []).map((name) => name.toLowerCase()),
    origin: defaults.origin === "request" ? undefined : defaults.origin,
    version: defaults.version,
    enabled: defaults.enabled,
    lane: route.lane === true && partition === undefined && bypass === undefined && defaults.enabled === undefined
  }
}

export type Policies<R> = (defaults: DefaultOptions) => ServerPolicy<R>

/**
 * Checks the route's options now, and gives the policy under the `Defaults` of a request; those are checked when they
 * are first seen.
 */
export const resolve = <R>(where: string, route: Options<R>, statusOfError?: StatusOfError): Policies<R> => {
  const own = checks.route(where, route)
  let seen: DefaultOptions | undefined
  let policy: ServerPolicy<R> | undefined
  return (defaults) => {
    if (policy === undefined || seen !== defaults) {
      policy = merge(own, checks.defaults("HttpCache.Defaults", defaults), statusOfError)
      seen = defaults
    }
    return policy
  }
}

/** The options of the cache of a client. */
interface ClientOptions extends Pick<Options, "staleWhileRevalidate" | "staleIfError" | "maxBodyBytes"> {
  readonly shared?: boolean | undefined
}

/** A head is waited for as long as `fetch` waits, and what is stale is there to be validated, or to be answered `only-if-cached`. */
const ofClients = { clients: "nothing", deadline: "5 minutes", retain: "1 day" } as const

/** That of a client's cache, which is the origin of nothing. It is kept apart from the caches of servers, and a shared one from others. */
export const resolveClient = (where: string, options: ClientOptions): Policy => {
  const { shared = false, ...route } = checks.client(where, options)
  const name = shared ? "HttpClientCache, shared" : "HttpClientCache"
  const cacheStatus = { name: "HttpClientCache" }
  return {
    ...merge<never>({ ...route, ...ofClients, name, cacheStatus }, {}, undefined),
    shared,
    isPartitioned: !shared
  }
}
