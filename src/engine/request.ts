/** One request at one cache: its key, its policy, and what it looks up. */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import { CacheStorage, type Lookup, type Service } from "../CacheStorage.js"
import type { Policy } from "../policy/policy.js"
import * as CacheControl from "../protocol/CacheControl.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Vary from "../protocol/Vary.js"
import { millisOf } from "../runtime/effect.js"
import { type Runtime, runtimeOf } from "../runtime/runtime.js"
import type { Waited } from "../runtime/storageCall.js"
import { EnclosingCache, viewBeneath } from "./enclosing.js"
import type { Identity, Origin, Run, View } from "./origin.js"

/** What is the same for a request whoever handles it. */
export interface Asked {
  readonly view: View
  readonly policy: Policy
  readonly key: CacheKey.CacheKey
  readonly selection: Vary.Selection
  /** What the client's `Cache-Control` asks, such as `no-cache`: nothing where the route ignores it. */
  readonly asks: CacheControl.RequestDirectives
  readonly identity: Identity
  /** Which of several caches at the URI it is. */
  readonly cache: string
  readonly lookup: Lookup
  readonly storage: Service
  readonly runtime: Runtime
  readonly clock: Clock.Clock
  readonly waited: Waited
  /** The run of the cache above that this request is part of. */
  readonly above: Run
}

const nobody: Identity = { partition: "", reads: undefined }

/** The time by the request's clock. Epoch milliseconds. */
export const now = ({ clock }: Pick<Asked, "clock">): number => millisOf(clock)

/**
 * A class, since V8 may make an object literal in its old generation. There it would keep all that the request has made until
 * the next full garbage collection.
 */
export class CacheRequest<Res, E, R> implements Asked {
  readonly origin: Origin<Res, E, R>
  readonly view: View
  readonly policy: Policy
  readonly key: CacheKey.CacheKey
  readonly selection: Vary.Selection
  readonly asks: CacheControl.RequestDirectives
  readonly identity: Identity = nobody
  readonly cache: string
  readonly lookup: Lookup
  readonly storage: Service
  readonly runtime: Runtime
  readonly clock: Clock.Clock
  readonly waited: Waited = { millis: 0 }
  readonly above: Run

  /** `cache`: which cache it is, where it has no name. */
  constructor(
    origin: Origin<Res, E, R>,
    policy: Policy,
    cache: () => string,
    context: Context.Context<never>,
    clock: Clock.Clock
  ) {
    this.above = Context.get(context, EnclosingCache)
    const view = viewBeneath(this.above, origin.view)
    this.origin = origin
    this.view = view
    this.policy = policy
    this.cache = policy.name ?? cache()
    this.clock = clock
    this.key = CacheKey.make(view.target, policy.query)
    this.selection = {
      depth: this.above.depth + 1,
      name: policy.name,
      version: policy.version,
      rewritten: view.isRewritten ? CacheKey.narrow(view.url, policy.query) : undefined
    }
    this.asks = policy.honorsRequest ? CacheControl.request(view.fields) : CacheControl.noRequestDirectives
    this.lookup = lookupOf(this.key, nobody, view, this.selection)
    this.storage = Context.get(context as Context.Context<CacheStorage>, CacheStorage)
    this.runtime = runtimeOf(this.storage)
  }
}

/** A request as far as a stored response answers it. */
export interface Answering<Res> extends Asked {
  readonly origin: Pick<Origin<Res, never, never>, "respond" | "breakConnection" | "countAsRead" | "isNested">
}

/** The request with another origin, view, selection or identity. */
export const change = <Request extends Asked>(
  request: Request,
  change: Partial<
    Pick<Request, Extract<keyof Request, "origin"> | "view" | "selection" | "identity" | "asks" | "waited">
  >
): Request => {
  const changed = { ...request, ...change }
  return { ...changed, lookup: lookupOf(changed.key, changed.identity, changed.view, changed.selection) }
}

/** A `QUERY` asks by its content too, which becomes part of the variant. */
export const selectionWith = ({ selection, view }: Asked, content: Uint8Array): Vary.Selection => ({
  ...selection,
  content: Vary.contentOf(view.fields, Buffer.from(content).toString("base64"))
})

const noFields = {}

/** Does not read `view.fields` where a response has no `Vary`: the lane makes them when they are read. */
export const lookupOf = (
  key: CacheKey.CacheKey,
  { partition }: Identity,
  view: View,
  selection: Vary.Selection
): Lookup => ({
  key,
  partition,
  variantOf: Vary.remembered((vary) => Vary.variant(vary, vary.length === 0 ? noFields : view.fields, selection))
})
