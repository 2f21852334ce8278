/** Writes a response as the platform's server does: the same fields, in the same order. */
import type * as Http from "node:http"
import * as Body from "../engine/body.js"
import type { Outgoing } from "../engine/origin.js"
import { fieldsOf } from "../server/response.js"

export const write = (response: Http.ServerResponse, outgoing: Outgoing, isHead: boolean): void => {
  const { body, status } = outgoing
  const bytes = Body.isEmpty(body) ? undefined : Body.bytesOf(body)
  response.writeHead(status, fieldsOf(outgoing, bytes?.byteLength))
  if (isHead || bytes === undefined) response.end()
  else response.end(bytes)
}
