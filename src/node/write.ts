/** Writes a response as the platform's server does: the same fields, in the same order. */
import type * as Http from "node:http"
import * as Body from "../engine/body.js"
import type { Outgoing } from "../engine/origin.js"
import { fieldsOf } from "../server/response.js"

/** A response as Node's server is given it. */
export interface Message {
  readonly status: number
  /** Names and values in turn. */
  readonly fields: Array<string>
  readonly content: Uint8Array | undefined
}

export const messageOf = (outgoing: Outgoing, isHead: boolean): Message => {
  const { body, status } = outgoing
  const bytes = Body.isEmpty(body) ? undefined : Body.bytesOf(body)
  const fields = Object.entries(fieldsOf(outgoing, bytes?.byteLength)).flat()
  return { status, fields, content: isHead ? undefined : bytes }
}

export const write = (response: Http.ServerResponse, { content, fields, status }: Message): void => {
  response.writeHead(status, fields)
  if (content === undefined) response.end()
  else response.end(content)
}
