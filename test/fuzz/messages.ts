/** A request as it is planned, and a response: what goes through the door. */
import { type Headers, HttpServerResponse } from "@effect/platform"
import { Effect, Stream } from "effect"
import type { Planned, Sent } from "./exchanges.js"

export class Failure extends Error {
  readonly _tag = "Failure"
}
export class Defect extends Error {}

/** What a client has seen. */
export interface Reply {
  readonly status: number
  readonly headers: { readonly [name: string]: string }
  readonly cookies: ReadonlyArray<string>
  /** Each character is a byte. */
  readonly text: string
  /** The rest of the content never comes. */
  readonly isBroken: boolean
}

/** `raw` makes a body that the platform's server sends as it is. */
export const bodyOf = (
  plan: Planned,
  text: string,
  headers: Headers.Headers,
  raw: (text: string) => unknown
): HttpServerResponse.HttpServerResponse => {
  const { status } = plan
  if (plan.body === "empty") return HttpServerResponse.empty({ status, headers })
  if (plan.body === "raw") return HttpServerResponse.raw(raw(text), { status, headers })
  if (plan.body === "text") return HttpServerResponse.text(text, { status, headers })
  const bytes = new TextEncoder().encode(text)
  const chunks = Stream.fromIterable([bytes.slice(0, 20), bytes.slice(20)])
  const paced = plan.delay % 200 === 0
    ? chunks
    : Stream.mapEffect(chunks, (bytes) => Effect.delay(Effect.succeed(bytes), 50))
  const ended = plan.body === "stream" ? paced : Stream.concat(paced, Stream.fail(new Failure()))
  return HttpServerResponse.stream(ended, { status, headers })
}

/** What no web Request can have is left out. */
export const requestOf = ({ content, fields, method, path, query }: Sent): Request => {
  const headers = new globalThis.Headers()
  for (const [name, value] of Object.entries(fields)) {
    try {
      headers.append(name, value)
    } catch {
      continue
    }
  }
  return new Request(`http://localhost${path}${query}`, { method, headers, body: content ?? null })
}
