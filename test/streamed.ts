/** Streamed bodies that a test writes, and a route that stores them. */
import { HttpServerResponse } from "@effect/platform"
import { Effect, Queue, Stream } from "effect"
import { type HttpCache, withCache } from "effect-http-cache"
import { bytes, routes } from "./harness.js"

/** A handler whose body is written by the test, and what became of its runs. */
export const produced = (options: HttpServerResponse.Options.WithContentType = {}) =>
  Effect.gen(function*() {
    const queue = yield* Queue.unbounded<string | Error | undefined>()
    const ran = { times: 0, ended: 0 }
    const stream = Stream.fromQueue(queue).pipe(
      Stream.takeUntil((part) => part === undefined),
      Stream.filter((part) => part !== undefined),
      Stream.mapEffect((part) => part instanceof Error ? Effect.fail(part) : Effect.succeed(bytes(part))),
      Stream.ensuring(Effect.sync(() => ran.ended++))
    )
    const handler = Effect.sync(() => {
      ran.times++
      return HttpServerResponse.stream(stream, options)
    })
    return {
      handler,
      ran,
      write: (...parts: ReadonlyArray<string | Error | undefined>) => Queue.offerAll(queue, parts)
    }
  })

export const app = <R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, never, R>,
  options: HttpCache.Options = {}
) => routes({ "GET /": handler.pipe(withCache({ expiry: 10, ...options })) })
