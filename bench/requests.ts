/** Handlers in process, with a cache and without, and what must be true of their answers. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect, Exit } from "effect"
import { type HttpCache, withCache } from "effect-http-cache"
import { type Contender, ended, type Response, type Services } from "./meter.js"

export interface Kind {
  /** Without a cache when there are none. */
  readonly options?: HttpCache.Options | undefined
  readonly bytes: number
  readonly uriOf: (count: number) => string
  /** The request's fields, of what the first request was answered. */
  readonly fieldsOf?: ((first: Response) => Record<string, string>) | undefined
  /** What the handler does beside. */
  readonly work?: (() => void) | undefined
  /** What each answer must be, and whether the handler runs for it. */
  readonly expects: {
    readonly status: number
    readonly says: RegExp | undefined
    readonly runs: boolean
  }
}

export const at = (path: string): string => `http://localhost${path}`

type App = Effect.Effect<Response, never, Services | HttpServerRequest.HttpServerRequest>

export const asking = (app: App, uri: string, headers: Record<string, string> = {}) =>
  Effect.scoped(
    Effect.provideService(
      app,
      HttpServerRequest.HttpServerRequest,
      HttpServerRequest.fromWeb(new Request(uri, { headers }))
    )
  )

/** Why the answer is not what the case is about. */
const wrongOf = ({ bytes, expects: { says, status } }: Kind, { body, headers, status: own }: Response) => {
  const told = headers["cache-status"]
  if (says === undefined ? told !== undefined : told === undefined || !says.test(told)) {
    return `Cache-Status must be ${String(says ?? "absent")}, and is ${String(told)}`
  }
  if (own !== status) return `the status must be ${status}, and is ${own}`
  const length = body._tag === "Uint8Array" ? body.body.byteLength : 0
  const wanted = status === 304 ? 0 : bytes
  return length === wanted ? undefined : `the content must have ${wanted} bytes, and has ${length}`
}

interface Requesting extends Contender<Response> {
  readonly fields: Record<string, string>
}

/** A handler of its own; each request is a new one, as on a server. `given`: the fields of another's requests. */
export const requesting = async (
  fork: Contender<unknown>["fork"],
  kind: Kind,
  given?: Record<string, string>
): Promise<Requesting> => {
  const body = new Uint8Array(kind.bytes).fill(120)
  let runs = 0
  const handler = Effect.sync(() => {
    runs++
    kind.work?.()
    return HttpServerResponse.uint8Array(body)
  })
  const app: App = kind.options === undefined ? handler : handler.pipe(withCache(kind.options))
  let asked = 0
  const first = await ended(fork(asking(app, kind.uriOf(asked++))))
  if (Exit.isFailure(first)) throw new Error(`the first request failed: ${String(first.cause)}`)
  const fields = given ?? kind.fieldsOf?.(first.value) ?? {}
  runs = 0
  return {
    fields,
    fork,
    prepare: async (size) => Array.from({ length: size }, () => asking(app, kind.uriOf(asked++), fields)),
    verify: (exits) => {
      for (const exit of exits) {
        const wrong = Exit.isSuccess(exit) ? wrongOf(kind, exit.value) : `a request failed: ${String(exit.cause)}`
        if (wrong !== undefined) throw new Error(wrong)
      }
      const wanted = kind.expects.runs ? exits.length : 0
      if (runs !== wanted) throw new Error(`the handler must run ${wanted} times in ${exits.length}, and ran ${runs}`)
      runs = 0
    }
  }
}
