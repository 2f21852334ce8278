/** Interim responses go on as they come (RFC 9110 §15.2), but `100`: Node's server has sent its own. */
import { type InformationEvent, type ServerResponse, STATUS_CODES } from "node:http"
import { isEndToEnd } from "./fields.js"

/** By hand: Node's `writeEarlyHints` refuses links that are legal. */
export const pass = (response: ServerResponse) => ({ headers, rawHeaders, statusCode }: InformationEvent): void => {
  const { headersSent, req, socket } = response
  if (statusCode === 100 || headersSent || socket === null || req.httpVersion === "1.0") return
  const stays = isEndToEnd(headers["connection"])
  const lines = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 && stays(name) ? [`${name}: ${rawHeaders[index + 1]}\r\n`] : []
  )
  socket.write(`HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode] ?? ""}\r\n${lines.join("")}\r\n`, "latin1")
}
