/** What OpenAPI tells of the endpoints that are cached, and of those that collect. */
import { declaresField } from "./declared.js"
import type { Endpoint } from "./platform.js"

/** An endpoint, and what is done there. */
interface Documented {
  readonly endpoint: Endpoint
  readonly isCached: boolean
  readonly saysStatus: boolean
}

interface Response {
  readonly description?: string
  readonly headers?: { readonly [name: string]: unknown }
}

interface Operation {
  readonly parameters?: ReadonlyArray<{ readonly name: string; readonly in: string }>
  readonly responses: { readonly [status: string]: Response }
}

interface Document {
  readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } }
}

const text = { type: "string" }

const cacheStatus = {
  "Cache-Status": { description: "What the cache did, where the request came that far (RFC 9211)", schema: text }
}

const ofCached = {
  "Cache-Control": { description: "For how long a client may keep the response (RFC 9111)", schema: text },
  "ETag": { description: "The tag of the response, which `If-None-Match` sends back", schema: text },
  "Age": {
    description: "How old a stored response is. Seconds",
    schema: { type: "integer", minimum: 0 }
  }
}

const ifNoneMatch = {
  name: "If-None-Match",
  in: "header",
  description: "The tags that the client has: where the response has one of them, the answer is 304",
  required: false,
  schema: text
}

const preconditions = ["if-match", "if-unmodified-since"]

const isSuccess = (status: string): boolean => status.startsWith("2")

const has = (operation: Operation, field: string): boolean =>
  (operation.parameters ?? []).some((parameter) =>
    parameter.in === "header" && parameter.name.toLowerCase() === field.toLowerCase()
  )

const withFields = (response: Response, fields: { readonly [name: string]: unknown }): Response =>
  Object.keys(fields).length === 0 ? response : { ...response, headers: { ...fields, ...response.headers } }

const documentOperation = (operation: Operation, { endpoint, isCached, saysStatus }: Documented): Operation => {
  const ofAny = saysStatus ? cacheStatus : {}
  const ofSuccess = isCached ? { ...ofCached, ...ofAny } : ofAny
  const more: { [status: string]: Response } = {}
  if (isCached) more["304"] = { description: "The client has the response already" }
  if (declaresField(endpoint, preconditions)) more["412"] = { description: "A precondition of the request is false" }
  const responses = Object.entries({ ...more, ...operation.responses }).map(([status, response]) =>
    [status, withFields(response, isSuccess(status) || status === "304" ? ofSuccess : ofAny)] as const
  )
  return {
    ...operation,
    ...isCached && !has(operation, ifNoneMatch.name)
      ? { parameters: [...operation.parameters ?? [], ifNoneMatch] }
      : {},
    responses: Object.fromEntries(responses)
  }
}

/** The document with what is done at these endpoints. What the document has not is left out, and what it says stands. */
export const documented = (
  document: Record<string, unknown>,
  endpoints: ReadonlyArray<Documented>
): Record<string, unknown> => {
  // Its type says nothing of what OpenAPI makes of an api.
  const paths = { ...(document as unknown as Document).paths }
  for (const each of endpoints) {
    const path = each.endpoint.path.replace(/:(\w+)\??/g, "{$1}")
    const method = each.endpoint.method.toLowerCase()
    const operation = paths[path]?.[method]
    if (operation !== undefined) paths[path] = { ...paths[path], [method]: documentOperation(operation, each) }
  }
  return { ...document, paths }
}
