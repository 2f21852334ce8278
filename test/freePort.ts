/** Where a server of a test listens. */
import * as Net from "node:net"

/**
 * Below those that a system gives to connections and to who listens on port 0: one of these would take the port of a
 * server that is not there yet, or that a test starts anew. Each process has some of its own.
 */
const firstOfAll = 10_240
const each = 320
const processes = 64
const first = firstOfAll + (process.pid % processes) * each
let given = 0

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = Net.createServer()
    server.on("error", () => resolve(false))
    server.listen(port, () => server.close(() => resolve(true)))
  })

/** A port of this machine that nobody listens on, and another one each time. */
export const freePort = async (): Promise<number> => {
  for (let tries = 0; tries < each; tries++) {
    const port = first + given++ % each
    if (await isFree(port)) return port
  }
  throw new Error(`None of the ports from ${first} to ${first + each - 1} is free`)
}
