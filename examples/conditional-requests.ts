/**
 * Conditional requests, and protection against lost updates.
 *
 * A client reads a document with its `ETag`, and writes it back with `If-Match`. Who was overtaken gets a `412` before
 * the handler runs; who has the current version already gets a `304`.
 */
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Context, Effect, Layer, Ref } from "effect"
import { HttpCache, withCache, withCollect } from "effect-http-cache"

interface Version {
  readonly number: number
  readonly text: string
}

export class Documents extends Context.Tag("Documents")<Documents, Ref.Ref<ReadonlyMap<string, Version>>>() {
  static readonly layer = Layer.effect(
    Documents,
    Ref.make<ReadonlyMap<string, Version>>(new Map([["1", { number: 1, text: "first" }]]))
  )
}

const etag = ({ number }: Version) => `"${number}"`

const answer = (version: Version, status: number) =>
  HttpServerResponse.text(version.text, { status, headers: { etag: etag(version) } })

const find = Effect.gen(function*() {
  const { id = "" } = yield* HttpRouter.params
  const documents = yield* Effect.flatMap(Documents, Ref.get)
  return { id, current: documents.get(id) }
})

const get = Effect.map(
  find,
  ({ current }) => current === undefined ? HttpServerResponse.empty({ status: 404 }) : answer(current, 200)
)

/** Check and write are one step in the `Ref`, for `withPreconditions` and the handler are not one atom. */
const put = Effect.gen(function*() {
  const { current, id } = yield* find
  const text = yield* Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => request.text)
  const written = yield* Effect.flatMap(
    Documents,
    Ref.modify((all) => {
      if (all.get(id) !== current) return [undefined, all] as const
      const version = { number: (current?.number ?? 0) + 1, text }
      return [version, new Map(all).set(id, version)] as const
    })
  )
  if (written === undefined) return HttpServerResponse.empty({ status: 409 })
  return answer(written, current === undefined ? 201 : 200)
})

const validators = Effect.map(find, ({ current }) => current === undefined ? undefined : { etag: etag(current) })

export const router = HttpRouter.empty.pipe(
  HttpRouter.get("/documents/:id", get.pipe(withCache({ expiry: 60, clients: "revalidate" }))),
  HttpRouter.put("/documents/:id", put.pipe(HttpCache.withPreconditions(validators), withCollect()))
)
