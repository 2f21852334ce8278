/** An origin whose fields decide, and its answers. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect } from "effect"
import { HttpCache } from "effect-http-cache"
import { serve } from "./harness.js"

export type Fields = { readonly [name: string]: string }

/** An origin: what each of its answers is, by the run and the request's fields; it keeps what it was asked. */
export const origin = (
  answer: (
    run: number,
    headers: Fields,
    request: HttpServerRequest.HttpServerRequest
  ) => HttpServerResponse.HttpServerResponse,
  options: HttpCache.Options = {}
) =>
  Effect.gen(function*() {
    const asked: Array<Fields> = []
    const handler = Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
      asked.push({ ...request.headers })
      return answer(asked.length, request.headers, request)
    })
    return Object.assign(yield* serve(handler.pipe(HttpCache.middleware(options))), { asked })
  })

export const text = (body: string, headers: Fields, status = 200) => HttpServerResponse.text(body, { headers, status })
export const empty = (status: number, headers: Fields = {}) => HttpServerResponse.empty({ status, headers })
