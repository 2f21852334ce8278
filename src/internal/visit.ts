/** One request at one cache. */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import type { Lookup } from "../CacheStorage.js"
import * as CacheControl from "../protocol/CacheControl.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Fields from "../protocol/Fields.js"
import * as Vary from "../protocol/Vary.js"
import { depth } from "./handler.js"
import { type DefaultOptions, Defaults, type Policy } from "./options.js"
import * as serverRequest from "./serverRequest.js"

export type Policies<R> = (defaults: DefaultOptions) => Policy<R>

export interface Visit<R> {
  readonly request: HttpServerRequest
  readonly view: serverRequest.View
  readonly policy: Policy<R>
  readonly key: CacheKey.CacheKey
  readonly selection: Vary.Selection
  /** What the client's `Cache-Control` asks, where the route honors it. */
  readonly asks: CacheControl.RequestDirectives
}

export const visit = <R>(policies: Policies<R>): Effect.Effect<Visit<R>, never, HttpServerRequest> =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest
    const policy = policies(yield* Defaults)
    const view = serverRequest.view(request, policy.origin)
    return {
      selection: { depth: yield* depth, keepsOrder: policy.expiry !== undefined },
      request,
      view,
      policy,
      key: CacheKey.make(view.target, policy.query, policy.version),
      asks: policy.honorsRequest ? CacheControl.request(view.fields) : CacheControl.noRequestDirectives
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

/** What is looked for: the response to the request, everybody's or that of a partition. */
export const lookupOf = <R>({ key, selection, view }: Visit<R>, partition: string): Lookup => ({
  key,
  partition,
  variantOf: (vary) => Vary.variant(vary, view.fields, selection)
})
