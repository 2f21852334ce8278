/** What is annotated at an endpoint of an `HttpApi`, its group and its api, and what that comes to. */
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import type { Options } from "../CachePolicy.js"
import type { CollectOptions } from "../HttpCache.js"
import * as checks from "../policy/checks.js"
import * as Invalidation from "../protocol/Invalidation.js"
import { show } from "../runtime/givenValues.js"
import * as declared from "./declared.js"
import * as platform from "./platform.js"
import type { Api, Endpoint, Located } from "./platform.js"

/**
 * What an endpoint is cached by: the options of `withCache`. Two defaults differ: `query` has the search parameters that the
 * endpoint declares, and `vary` the request fields. `name` is made of the names of group and endpoint, and `partition` is given
 * to `cached`. An error is stored only where `statuses` names its status.
 *
 * @since 0.1.0
 * @category models
 */
export interface PolicyOptions extends Omit<Options, "name" | "partition"> {}

/**
 * What `GET` endpoints are cached by, as an annotation on an endpoint, a group or an api: the nearest counts, all of it, and
 * `false` says that the endpoint is not cached. It takes effect where the handlers are made, by `cached`.
 *
 * @example
 * ```ts
 * import { HttpApiEndpoint, HttpApiGroup } from "@effect/platform"
 * import { Schema } from "effect"
 * import { HttpApiCache } from "effect-http-cache"
 *
 * const products = HttpApiGroup.make("products")
 *   .add(HttpApiEndpoint.get("list", "/products").addSuccess(Schema.Array(Schema.String)))
 *   .add(HttpApiEndpoint.get("stock", "/stock").addSuccess(Schema.Number).annotate(HttpApiCache.Policy, false))
 *   .annotate(HttpApiCache.Policy, { expiry: "1 minute" })
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export class Policy extends Context.Tag("effect-http-cache/HttpApiCache/Policy")<Policy, PolicyOptions | false>() {}

/**
 * What unsafe endpoints collect when they succeed, as an annotation on an endpoint, a group or an api: the options of
 * `withCollect`, or `true` for none of them. The nearest counts, and `false` switches it off. The default of `query` is that
 * of the endpoint that is cached at the same path.
 *
 * @example
 * ```ts
 * import { HttpApiEndpoint } from "@effect/platform"
 * import { HttpApiCache } from "effect-http-cache"
 *
 * const restock = HttpApiEndpoint.post("restock", "/products/1/restock")
 *   .annotate(HttpApiCache.Collects, { also: () => ["/products"] })
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export class Collects extends Context.Tag("effect-http-cache/HttpApiCache/Collects")<
  Collects,
  CollectOptions | boolean
>() {}

/** An api has groups and annotations, also where its type does not say so. */
export const apiOf = (api: platform.AnyApi): Api => api as Api

export const endpointsOf = (api: Api): ReadonlyArray<Located> =>
  Object.values(api.groups).flatMap((group) =>
    Object.values(group.endpoints).map((endpoint): Located => ({ api, group, endpoint }))
  )

/** The name that an endpoint has in the storage, after a deploy too. An api has no name when it runs. */
export const nameOf = ({ endpoint, group }: Located): string => `${group.identifier}.${platform.nameOf(endpoint)}`

/** What is done at an endpoint: it is cached, it collects, or neither. */
export interface Settings {
  readonly policy?: PolicyOptions
  readonly collects?: CollectOptions
}

const annotated = <I, S>(
  { annotations }: { readonly annotations: Context.Context<never> },
  tag: Context.Tag<I, S>
): S | undefined => Option.getOrUndefined(Context.getOption(annotations, tag))

const nearest = <I, S>({ api, endpoint, group }: Located, tag: Context.Tag<I, S>): S | undefined =>
  annotated(endpoint, tag) ?? annotated(group, tag) ?? annotated(api, tag)

/** Throws where an annotation stands at an endpoint of the wrong method; at a group or an api it is for others too. */
const refuse = (located: Located, name: "Policy" | "Collects", own: unknown): void => {
  if (own === undefined || own === false) return
  const expected = name === "Policy" ? "GET" : "methods that write, such as POST"
  throw new TypeError(
    `HttpApiCache.${name} of ${nameOf(located)}: the endpoint is a ${
      platform.kindOf(located.endpoint)
    }; ${name} is for ${expected}`
  )
}

export const settingsOf = (located: Located): Settings => {
  const { endpoint } = located
  const isCacheable = platform.kindOf(endpoint) === "GET"
  const isSafe = Invalidation.isSafe(endpoint.method)
  if (!isCacheable) refuse(located, "Policy", annotated(endpoint, Policy))
  if (isSafe) refuse(located, "Collects", annotated(endpoint, Collects))
  const policy = isCacheable ? nearest(located, Policy) ?? false : false
  const collects = isSafe ? false : nearest(located, Collects) ?? false
  if (policy !== false) return { policy }
  return collects === false ? {} : { collects: collects === true ? {} : collects }
}

const whereOf = (name: "Policy" | "Collects", located: Located): string => `HttpApiCache.${name} of ${nameOf(located)}`

/** Options of `withCache` that a policy does not have; their types let them pass where the object is not written in its place. */
const elsewhere = {
  name: "it is made of the names of group and endpoint; leave it out",
  partition: "it is given to cached, as in HttpApiCache.cached(api, { partition })"
} as const

const refuseOthers = (where: string, given: Options): void => {
  for (const [option, remedy] of Object.entries(elsewhere)) {
    if (given[option as keyof typeof elsewhere] === undefined) continue
    throw new TypeError(`${where}: ${option} is no option here: ${remedy}`)
  }
}

/** The options of the cache at an endpoint: what it declares selects the response. */
export const cacheOptions = (located: Located, given: PolicyOptions): Options => {
  const where = whereOf("Policy", located)
  const policy = checks.route(where, given)
  refuseOthers(where, policy)
  const query = declared.queryOf(located.endpoint)
  if (policy.query !== undefined && !declared.isKeyed(policy.query, query)) {
    throw new TypeError(
      `${where}: query is ${
        show(policy.query)
      }, which leaves out search parameters that the endpoint declares; its handler ` +
        `gets ${show(query)}, so leave query out, or have it name them`
    )
  }
  if (policy.lane === true && platform.hasSecurity(located)) {
    throw new TypeError(
      `${where}: lane is true, and the endpoint has security, which the lane passes by; leave lane out`
    )
  }
  return {
    ...policy,
    name: nameOf(located),
    query: policy.query ?? query,
    vary: policy.vary ?? declared.fieldsOf(located.endpoint)
  }
}

/** The segments of a path. One with a parameter is `:`, whatever that is called and may be; `*` is the rest of a path. */
const segmentsOf = ({ path }: Endpoint): ReadonlyArray<string> =>
  path.split("/").map((segment) => segment.includes(":") ? ":" : segment)

/** How much of a path an endpoint leaves open: a router prefers one that leaves less. */
const opennessOf = (endpoint: Endpoint): number =>
  segmentsOf(endpoint).reduce((sum, segment) => sum + (segment === "*" ? 1000 : segment === ":" ? 1 : 0), 0)

/** Whether what is written at an endpoint may be read at another, where a parameter stands for each segment. */
const isReadAt = (written: Endpoint, read: Endpoint): boolean => {
  const own = segmentsOf(written)
  const segments = segmentsOf(read)
  const rest = segments.indexOf("*")
  if (rest === -1 && own.length > segments.length) return false
  const least = rest !== -1 ? rest : segments.length - (read.path.endsWith("?") ? 1 : 0)
  return own.length >= least && segments.slice(0, rest === -1 ? own.length : rest)
    .every((segment, at) => segment === ":" || segment === own[at])
}

/** The options of the collect at an endpoint: its key is that of the endpoint that is cached at its path, as a router finds it. */
export const collectOptions = (located: Located, given: CollectOptions): CollectOptions => {
  const collects = checks.collect(whereOf("Collects", located), given)
  if (collects.query !== undefined) return collects
  const read = endpointsOf(located.api).filter(({ endpoint }) => isReadAt(located.endpoint, endpoint))
    .sort((one, other) => opennessOf(one.endpoint) - opennessOf(other.endpoint))
  const [query] = read.flatMap((other) => {
    const { policy } = settingsOf(other)
    return policy === undefined ? [] : [cacheOptions(other, policy).query]
  })
  return { ...collects, query }
}
