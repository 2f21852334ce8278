/** `HttpClientRequest` to the protocol's view of a request, and the request that is sent. */
import * as Headers from "@effect/platform/Headers"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Option from "effect/Option"
import { digest } from "../engine/answers.js"
import type { View } from "../engine/origin.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Fields from "../protocol/Fields.js"
import * as Reads from "../protocol/Reads.js"
import * as Vary from "../protocol/Vary.js"

type Request = HttpClientRequest.HttpClientRequest

const credentials = ["authorization", "cookie"]

const connection: ReadonlySet<string> = new Set(["connection"])

/** A request as it was given to the client. */
export interface Arrived {
  readonly request: Request
  /** Credentials are digests in it: no storage gets to know them. */
  readonly view: View
  /** A digest of all credentials; `""` where there are none. */
  readonly user: string
  /** What is sent beside the fields that the engine asks by. */
  readonly beside: Fields.Fields
}

/** `undefined` where its URL is none. A user in the URL is no field, by which a shared cache could tell whose response it is. */
export const arrived = (request: Request, isShared: boolean): Arrived | undefined => {
  const url = Option.getOrUndefined(HttpClientRequest.toUrl(request))
  if (url === undefined) return undefined
  const origin = CacheKey.origin(url.protocol.slice(0, -1), url.host)
  const target = CacheKey.target(url.pathname + url.search, origin)
  // What its Connection lists is sent nonetheless, and the origin may answer by it.
  const headers = Fields.texts(request.headers)
  const own = Vary.spelled(Fields.endToEnd(Fields.without(headers, connection)))
  const known = Fields.only(own, credentials)
  const isUserInUrl = url.username !== "" || url.password !== ""
  const host = Fields.get(own, "host")
  return {
    request,
    view: {
      method: request.method,
      fields: Fields.merged(own, Fields.copy(known, digest)),
      condition: undefined,
      isUnnormalised: false,
      target,
      // A Host of its own may lead elsewhere: what is written there is forgotten, too.
      ownOrigin: host === undefined ? origin : CacheKey.origin(url.protocol.slice(0, -1), host),
      url: CacheKey.pathOf(target),
      isRewritten: false,
      hasBody: request.body._tag !== "Empty",
      isAmbiguous: !/^https?:$/.test(url.protocol) || (host !== undefined && host.toLowerCase() !== url.host) ||
        (isShared && isUserInUrl),
      asksToUpgrade: Fields.asksToUpgrade(headers)
    },
    user: isUserInUrl || Object.keys(known).length > 0
      ? digest(JSON.stringify([url.username, url.password, ...credentials.map((name) => known[name])]))
      : "",
    beside: Fields.without(headers, new Set(Object.keys(own)))
  }
}

type Mutable = { -readonly [Name in keyof Request]: Request[Name] }

/** The request to send: with these fields instead of its own, and with the credentials themselves. */
export const sending = ({ beside, request, view }: Arrived, fields: Fields.Fields): Request => {
  const named = credentials.filter((name) => Fields.get(fields, name) !== undefined)
  const sent = Object.assign(Object.create(Object.getPrototypeOf(request) as object), request) as Mutable
  sent.method = view.method as Request["method"]
  sent.headers = Headers.unsafeFromRecord({ ...beside, ...fields, ...Fields.only(request.headers, named) })
  return sent
}

/**
 * A `GET` of the same target with these fields, to refresh what is stored. A user's own cache sends all that was sent, but what
 * was about the copy that one client had.
 */
export const refreshing = (arrived: Arrived, fields: Fields.Fields, isShared: boolean): Arrived => ({
  ...arrived,
  view: { ...arrived.view, method: "GET", fields },
  beside: isShared ? {} : Fields.merged(arrived.beside, Fields.without(arrived.view.fields, Reads.uncounted))
})
