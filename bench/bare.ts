/** A bare server of Node, which sends as much as the others, and decides nothing. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

const contentOf = (kibibytes: number) => new Uint8Array(kibibytes * 1024).fill(120)
const content = { small: contentOf(1), large: contentOf(64), huge: contentOf(1024) }
const etag = "\"a\""

export const startBare = async (): Promise<{ readonly port: number; readonly close: () => void }> => {
  const server = createServer(({ headers, url }, response) => {
    const body = url === "/large" ? content.large : url === "/huge" ? content.huge : content.small
    if (headers["if-none-match"] !== undefined) return void response.writeHead(304, { etag }).end()
    const fields = { "content-type": "application/octet-stream", "content-length": body.byteLength, etag }
    response.writeHead(200, fields).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { port: (server.address() as AddressInfo).port, close }
}
