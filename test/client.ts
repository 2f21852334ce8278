/** A client with a cache around it, over an origin that a test writes; under the TestClock. */
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { Effect } from "effect"
import { HttpClientCache } from "effect-http-cache"
import { noConnection } from "./platform.js"

/** What the origin answers: a response of the web's, or that there is none. */
export type Reply = Response | "no connection"

export interface Sent {
  readonly method: string
  readonly path: string
  readonly headers: { readonly [name: string]: string }
}

/** A client whose origin is this function; `sent` has what it was asked. */
export const scripted = (answer: (sent: Sent, count: number) => Reply | Effect.Effect<Reply>) => {
  const sent: Array<Sent> = []
  const client = HttpClient.make((request, url) => {
    const { b3: _, traceparent: __, ...headers } = request.headers
    const asked = {
      method: request.method,
      path: url.pathname + url.search,
      headers
    }
    sent.push(asked)
    const answered = answer(asked, sent.length)
    const reply = Effect.isEffect(answered) ? answered : Effect.succeed(answered)
    return Effect.flatMap(
      reply,
      (reply) =>
        reply === "no connection" ? noConnection(request) : Effect.succeed(HttpClientResponse.fromWeb(request, reply))
    )
  })
  return { client, sent }
}

/** The same with a cache around it. */
export const caching = (
  answer: Parameters<typeof scripted>[0],
  options: HttpClientCache.Options = {}
) => {
  const { client, sent } = scripted(answer)
  return Effect.map(HttpClientCache.transform(client, options), (client) => ({ client, sent }))
}

/** A response with these fields. */
export const fresh = (text: string, headers: { readonly [name: string]: string } = { "cache-control": "max-age=60" }) =>
  new Response(text, { headers })

/** What a response says of the cache, without its name. */
export const said = (response: HttpClientResponse.HttpClientResponse): string =>
  (response.headers["cache-status"] ?? "").replace(/^.*HttpClientCache;? ?/, "")

export const url = (path: string): string => `http://origin.test${path}`
