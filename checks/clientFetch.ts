/** A `fetch` that is a client with a cache around it. */
import { HttpClient, HttpClientRequest } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer, ManagedRuntime } from "effect"
import { HttpClientCache, InMemoryCacheStorage } from "effect-http-cache"

interface Init {
  readonly method?: Parameters<typeof HttpClientRequest.make>[0]
  readonly headers?: ReadonlyArray<readonly [string, string]>
  readonly body?: string
  readonly cache?: HttpClientCache.Mode
}

/** Several lines of a field are one. */
const fieldsOf = (lines: ReadonlyArray<readonly [string, string]>): { [name: string]: string } => {
  const fields: { [name: string]: string } = {}
  for (const [name, value] of lines) {
    const key = name.toLowerCase()
    fields[key] = key in fields ? `${fields[key]}, ${value}` : value
  }
  return fields
}

/** `dispose` closes it. */
export const clientFetch = () => {
  const layer = HttpClientCache.layer().pipe(
    Layer.provide([NodeHttpClient.layer, InMemoryCacheStorage.layerCollectable])
  )
  const { dispose, runPromise } = ManagedRuntime.make(layer)
  const fetch = (url: string, { body, cache = "default", headers = [], method = "GET" }: Init = {}) => {
    const request = HttpClientRequest.make(method)(url).pipe(
      (request) => body === undefined ? request : HttpClientRequest.bodyText(request, body),
      HttpClientRequest.setHeaders(fieldsOf(headers))
    )
    const asked = Effect.map(HttpClient.execute(request), (response) => ({
      status: response.status,
      statusText: "",
      headers: new Headers({ ...response.headers }),
      text: () => runPromise(response.text)
    }))
    return runPromise(HttpClientCache.withMode(asked, cache))
  }
  return { fetch, dispose }
}
