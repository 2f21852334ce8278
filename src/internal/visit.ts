/** One request at one cache. */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CacheItem } from "../CacheItem.js"
import type { Lookup } from "../CacheStorage.js"
import * as CacheControl from "../protocol/CacheControl.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Fields from "../protocol/Fields.js"
import * as Vary from "../protocol/Vary.js"
import { depth } from "./enclosing.js"
import { type DefaultOptions, Defaults, type Policy } from "./options.js"
import * as recorder from "./recorder.js"
import * as serverRequest from "./serverRequest.js"

export type Policies<R> = (defaults: DefaultOptions) => Policy<R>

/** Whose response is wanted, and what says so. */
export interface Identity {
  /** `""`: nobody's. */
  readonly partition: string
  /** What the route's `partition` read of the request; `undefined` where the route has none. */
  readonly reads: recorder.Reads | undefined
}

const nobody: Identity = { partition: "", reads: undefined }

export interface Visit<R> {
  readonly request: HttpServerRequest
  readonly view: serverRequest.View
  readonly policy: Policy<R>
  readonly key: CacheKey.CacheKey
  readonly selection: Vary.Selection
  /** What the client's `Cache-Control` asks, where the route honors it. */
  readonly asks: CacheControl.RequestDirectives
  readonly identity: Identity
  /** Which of several caches at the URI it is. */
  readonly cache: string
}

/** `cache`: which cache it is, where it has no name. */
export const visit = <R>(policies: Policies<R>, cache: string): Effect.Effect<Visit<R>, never, HttpServerRequest> =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest
    const policy = policies(yield* Defaults)
    const view = serverRequest.view(request, policy.origin)
    return {
      selection: {
        depth: yield* depth,
        name: policy.name,
        version: policy.version,
        rewritten: view.isRewritten ? CacheKey.narrow(view.url, policy.query) : undefined
      },
      request,
      view,
      policy,
      key: CacheKey.make(view.target, policy.query),
      asks: policy.honorsRequest ? CacheControl.request(view.fields) : CacheControl.noRequestDirectives,
      identity: nobody,
      cache: policy.name ?? cache
    }
  })

/** A `QUERY` asks by its content too, which becomes part of the variant; `undefined` when that can't be. */
export const withContent = <R>(here: Visit<R>): Effect.Effect<Visit<R> | undefined> =>
  serverRequest.readContent(here.request).pipe(
    Effect.map((read) => {
      if (read === undefined) return undefined
      const described = ["content-type", "content-encoding"].map((name) => Fields.get(here.view.fields, name) ?? null)
      const content = JSON.stringify({ query: [...described, Buffer.from(read.content).toString("base64")] })
      return { ...here, request: read.request, selection: { ...here.selection, content } }
    }),
    Effect.orElseSucceed(() => undefined)
  )

/** The visit with whose it is; `undefined` where the route's `partition` fails, or answers no text. */
export const identified = <R>(here: Visit<R>): Effect.Effect<Visit<R> | undefined, never, R> => {
  const { policy, request, view } = here
  if (policy.partition === undefined) return Effect.succeed(here)
  return Effect.map(recorder.recording(policy.partition, request, view), ({ exit, reads }) => {
    // Nobody is `undefined`; what is no text at all names nobody either, but not everybody.
    const partition: unknown = Exit.isFailure(exit) ? null : exit.value === undefined ? "" : exit.value
    return typeof partition === "string" ? { ...here, identity: { partition, reads } } : undefined
  })
}

/** What another cache at the URI keeps is not this one's; nor are cookies that the route does not send any more. */
export const accepts = <R>({ cache, policy }: Visit<R>) => (item: CacheItem): boolean =>
  (item.cache === cache || item.cache === "") && (policy.cookies === "store" || item.cookies.length === 0)

/** What is looked for: the response to the request, everybody's or that of a partition. */
export const lookupOf = <R>({ identity: { partition }, key, selection, view }: Visit<R>): Lookup => ({
  key,
  partition,
  variantOf: Vary.remembered((vary) => Vary.variant(vary, view.fields, selection))
})
