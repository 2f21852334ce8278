/** Answers the requests beneath the path of an inspector, for `HttpCacheInspector.layer` and `.middleware`. */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Service } from "../CacheStorage.js"
import * as collecting from "../engine/collecting.js"
import { EnclosingCache } from "../engine/enclosing.js"
import type { Explanation } from "../engine/explain.js"
import * as operations from "../engine/operations.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Fields from "../protocol/Fields.js"
import { catchCause, millisOf, withFiber } from "../runtime/effect.js"
import { runtimeOf } from "../runtime/runtime.js"
import { operation } from "../server/operation.js"
import { redactedNames } from "../server/platform.js"
import { sign } from "../server/response.js"
import * as explaining from "./explain.js"
import { frame, type Links, linksOf } from "./frame.js"
import { isAllowed, isFromElsewhere, isSameOrigin } from "./guard.js"
import { html } from "./html.js"
import * as items from "./item.js"
import * as live from "./live.js"
import { keysOf, lookUp } from "./lookups.js"
import { type Observation, observationOf } from "./observation.js"
import type { Checked } from "./options.js"
import * as overview from "./overview.js"
import * as responses from "./responses.js"

type Response = HttpServerResponse

/** Says what would happen to a request of the server. `mount`: what a router around has taken away from the path. */
export type Explain<R> = (request: Request, mount: string) => Effect.Effect<Explanation, never, R>

/** `""` where it is none, as where a middleware around rewrites the URL. */
const mountOf = ({ base }: operations.Operation, url: string): string => {
  const whole = base === undefined ? "" : CacheKey.pathOf(base)
  return whole.endsWith(url) ? whole.slice(0, whole.length - url.length) : ""
}

/** The part of the URL after the inspector's path: `""` where the URL is that path, `undefined` where it is not the inspector's. */
export const beneath = (path: string, url: string): string | undefined => {
  const pathname = url.split(/[?#]/, 1)[0]!
  if (pathname === path) return ""
  return pathname.startsWith(`${path}/`) ? pathname.slice(path.length + 1) : undefined
}

const paramsOf = (url: string): URLSearchParams => {
  const at = url.indexOf("?")
  return new URLSearchParams(at === -1 ? "" : url.slice(at + 1))
}

/** What the pages need to answer one request. */
interface Asked {
  readonly request: HttpServerRequest
  readonly storage: Service
  readonly observation: Observation
  readonly operation: operations.Operation
  readonly links: Links
  readonly params: URLSearchParams
  readonly isShown: items.IsShown
  /** Epoch milliseconds. */
  readonly now: number
}

const lookedOf = ({ links, now, observation, operation, storage }: Asked): overview.Looked => ({
  observation,
  holding: runtimeOf(storage).holding?.(),
  links,
  prefix: operation.base === undefined ? undefined : CacheKey.prefixOf(operation.base.origin),
  now
})

/** The messages for `?done=…` after a form: the page shows one of these texts, and nothing of the URL. */
const done: { readonly [what: string]: string } = {
  uri: "The URI was collected.",
  group: "The group was collected."
}

const home = (asked: Asked): Response => {
  const { links, now, observation, params, storage } = asked
  const what = params.get("done") ?? ""
  const content = overview.overview(lookedOf(asked), collecting.canCollect(storage))
  const mark = live.markOf(observation.revision, now)
  return responses.page(
    frame(links, "home", content, { done: Object.hasOwn(done, what) ? done[what] : undefined, mark })
  )
}

const itemPage = (asked: Asked): Effect.Effect<Response> => {
  const { isShown, links, now, observation, operation, params, storage } = asked
  const uri = params.get("uri") ?? ""
  if (uri === "") return Effect.succeed(responses.page(frame(links, "item", items.emptySearch(links))))
  observation.settle(now)
  const keys = keysOf(uri, observation, operation)
  return Effect.map(lookUp(storage, keys, observation, operation), (looked) => {
    const rows = keys.flatMap((key) => observation.uri(key) ?? [])
    const canCollect = collecting.canCollect(storage)
    return responses.page(
      frame(links, "item", items.page({ canCollect, isShown, links, looked, now, rows, uri }))
    )
  })
}

const events = (asked: Asked): Response => {
  const { now, observation, params, request } = asked
  const since = Fields.get(request.headers, "last-event-id") ?? params.get("since") ?? undefined
  return responses.events(
    live.event(live.markOf(observation.revision, now), since, () => overview.parts(lookedOf(asked)))
  )
}

const explainPage = <R>(asked: Asked, explain: Explain<R>): Effect.Effect<Response, never, R> => {
  const { isShown, links, now, operation, params, request, storage } = asked
  const given = explaining.givenBy(params)
  const wantsJson = (Fields.get(request.headers, "accept") ?? "").includes("application/json")
  const answered = (answer: Explanation | string): Response => {
    const status = typeof answer === "string" ? 400 : 200
    if (wantsJson) {
      return responses.json(typeof answer === "string" ? { error: answer } : explaining.jsonOf(answer), status)
    }
    const item = typeof answer === "string" ? undefined : answer.item
    const shown = item === undefined
      ? undefined
      : item.partition !== ""
      ? html`<section class="full"><p class="empty">What is stored is kept for one user, and not shown.</p></section>`
      : items.shown(item, links, collecting.canCollect(storage), isShown, now)
    return responses.page(frame(links, "explain", explaining.page(links, given, answer, shown)), status)
  }
  if (given.url === "" && !wantsJson) {
    return Effect.succeed(responses.page(frame(links, "explain", explaining.page(links, given, undefined))))
  }
  // What stands before a cache runs, with the fields that are given.
  if (isFromElsewhere(request.headers)) {
    return Effect.succeed(
      responses.text(403, "Sec-Fetch-Site says that another site has asked this; open the page, and ask it there")
    )
  }
  const made = explaining.requestOf(given, operation.base?.origin)
  return typeof made === "string"
    ? Effect.succeed(answered(made))
    : Effect.map(explain(made, mountOf(operation, request.url)), answered)
}

/** The most bytes that a form may have; the inspector's own forms are shorter. */
const longestForm = 32 * 1024

/** Collects the URI or the group that a form names, and leads back to the first page. */
const collect = (asked: Asked): Effect.Effect<Response> => {
  const { links, observation, operation, request, storage } = asked
  if (!isSameOrigin(request.headers)) {
    return Effect.succeed(responses.text(
      403,
      "This form was not sent by the inspector's own page: neither Sec-Fetch-Site nor Origin says so. A program calls HttpCache.collect."
    ))
  }
  if (!collecting.canCollect(storage)) {
    return Effect.succeed(
      responses.text(409, "This storage can't collect; provide InMemoryCacheStorage.layerCollectable")
    )
  }
  if (!(Number(Fields.get(request.headers, "content-length")) <= longestForm)) {
    return Effect.succeed(responses.text(413, "A form says how long it is, and is not longer than 32 KiB"))
  }
  const collected = Effect.flatMap(request.urlParamsBody, (body) => {
    const form = new URLSearchParams(UrlParams.toString(body))
    const style = { soft: form.get("soft") === "yes" }
    const group = form.get("group")
    if (group !== null && group !== "") {
      const origin = form.get("origin") ?? undefined
      return Effect.as(operations.collectGroup(storage, group, origin, style, operation), "group")
    }
    const uri = form.get("uri") ?? ""
    if (uri === "") return Effect.die(new TypeError("the form names neither a URI nor a group"))
    const known = observation.uri(uri) === undefined ? [] : [uri]
    // What was seen may be no URL, as where a host is none; else its other spellings are of it too.
    const uris = known.length === 0 || CacheKey.resolveAll(uri, operation.base).length > 0 ? [uri] : []
    return Effect.as(operations.collectAll(storage, uris, style, operation, known), "uri")
  })
  return catchCause(
    Effect.map(collected, (what) => responses.seeOther(`${links.home}?done=${what}`)),
    (cause) =>
      Effect.as(
        Effect.logWarning("effect-http-cache: the inspector could not collect", cause),
        responses.page(
          frame(
            links,
            "item",
            html`<section class="full"><h2>It was not collected</h2><p>Give a path such as <code>/users/1</code>, a URI with
scheme and host, or a group of at most 256 characters. Where the storage has failed, the log has the cause.</p></section>`
          ),
          400
        )
      )
  )
}

type Page<R> = readonly [
  method: "GET" | "POST",
  answer: (asked: Asked, explain: Explain<R>) => Effect.Effect<Response, never, R>
]

const pageOf = <R>(sub: string): Page<R> | undefined =>
  sub === ""
    ? ["GET", (asked) => Effect.succeed(home(asked))]
    : sub === "item"
    ? ["GET", itemPage]
    : sub === "explain"
    ? ["GET", explainPage]
    : sub === "events"
    ? ["GET", (asked) => Effect.succeed(events(asked))]
    : sub === "collect"
    ? ["POST", collect]
    : undefined

const routed = <R>(sub: string, asked: Asked, explain: Explain<R>): Effect.Effect<Response, never, R> => {
  const page = pageOf<R>(sub)
  if (page === undefined) return Effect.succeed(responses.text(404, "The inspector has no such page"))
  const [method, answer] = page
  const asks = asked.request.method === "HEAD" ? "GET" : asked.request.method
  return asks === method
    ? answer(asked, explain)
    : Effect.succeed(responses.text(405, `This is for ${method}`, { allow: method }))
}

/** `sub`: what `beneath` has answered, such as `"item"`. */
export const answer = <R, RE>(
  { authorize, path }: Checked<R>,
  storage: Service,
  explain: Explain<RE>,
  sub: string
): Effect.Effect<Response, never, R | RE | HttpServerRequest> =>
  operation<Response, never, R | RE | HttpServerRequest>((operation, context) =>
    withFiber<Response, never, R | RE | HttpServerRequest>((_, clock, fiber) => {
      const request = Context.unsafeGet(context, HttpServerRequest)
      const now = millisOf(clock)
      const asked: Asked = {
        request,
        storage,
        observation: observationOf(runtimeOf(storage), now),
        operation,
        links: linksOf(path.slice(path.lastIndexOf("/") + 1), sub === "" && !request.url.startsWith(`${path}/`)),
        params: paramsOf(request.url),
        isShown: items.shownBut(redactedNames(fiber)),
        now
      }
      const answered = Effect.flatMap(
        isAllowed(authorize),
        (isAllowed) =>
          isAllowed ? routed(sub, asked, explain) : Effect.succeed(responses.text(403, "authorize says no"))
      )
      // The signature has a cache around the inspector neither store nor count the response.
      return Effect.map(answered, (response) => sign(response, Context.get(context, EnclosingCache), request))
    })
  )
