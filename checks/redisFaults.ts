/**
 * Two nodes over one Redis, asked by 200 connections for 30 seconds while Redis is killed twice, stands still for five
 * seconds, and is cut off from one of them and delayed: each request is answered, none later than by the bound, and after
 * the recovery no answer is older than the last `PATCH` that was answered. Without persistence, with RDB, and with AOF.
 * `npm run check:redis-faults`, or `npm run check:redis-faults -- aof` for one of them.
 */
import { Config, Effect, Redacted } from "effect"
import { RedisCacheStorage } from "effect-http-cache/redis"
import * as Net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { createClient } from "redis"
import { type Persistence, type RedisServer, redisServer } from "../test/redisServer.js"
import { tryOut } from "./nodesInTrouble.js"

/** In front of Redis: cuts each connection while there is no way, and delays what comes by so many milliseconds. */
class Way {
  isOpen = true
  delay = 0
  port = 0
  private readonly sockets = new Set<Net.Socket>()
  private readonly server: Net.Server

  constructor(to: number) {
    this.server = Net.createServer((client) => {
      if (!this.isOpen) return void client.destroy()
      const redis = Net.connect(to, "127.0.0.1")
      this.join(client, redis)
      this.join(redis, client)
    })
  }

  private join(from: Net.Socket, to: Net.Socket): void {
    this.sockets.add(from)
    from.setNoDelay()
    from.on("error", () => {})
    from.on("close", () => {
      this.sockets.delete(from)
      to.destroy()
    })
    // One timer of the same length after the other: what comes first goes first.
    from.on("data", (data) => void (this.delay === 0 ? to.write(data) : setTimeout(() => to.write(data), this.delay)))
  }

  cut(): void {
    this.isOpen = false
    for (const socket of this.sockets) socket.destroy()
  }

  listen(): Promise<void> {
    return new Promise((resolve) =>
      this.server.listen(0, "127.0.0.1", () => {
        this.port = (this.server.address() as Net.AddressInfo).port
        resolve()
      })
    )
  }

  close(): void {
    this.cut()
    this.server.close()
  }
}

const nodeRedis = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const client = createClient({ url: `redis://127.0.0.1:${port}`, disableOfflineQueue: true })
        client.on("error", () => {})
        await client.connect()
        return client
      }),
      (client) => Effect.sync(() => client.destroy())
    ),
    (client) => RedisCacheStorage.fromNodeRedis(client)
  )

/** Of each, both nodes notice: the circuit breaker is closed when it comes. In seconds from the start: 3, 14, 26, 28. */
const trouble = async (server: RedisServer, way: Way): Promise<void> => {
  const restart = async () => {
    await server.stop("SIGKILL")
    await sleep(500)
    await server.start()
  }
  await sleep(3000)
  await restart()
  await sleep(10_500)
  server.pause()
  await sleep(5000)
  server.resume()
  await sleep(7000)
  await restart()
  way.delay = 300
  await sleep(1500)
  way.cut()
  await sleep(2000)
  way.delay = 0
  way.isOpen = true
}

const saving: { readonly [How in Persistence]: ReadonlyArray<string> } = { none: [], rdb: ["--save", "1 1"], aof: [] }

const trial = (how: Persistence) =>
  Effect.gen(function*() {
    const server = yield* redisServer(how, saving[how])
    const way = yield* Effect.acquireRelease(
      Effect.sync(() => new Way(server.port)),
      (way) => Effect.sync(() => way.close())
    )
    yield* Effect.promise(() => way.listen())
    const url = Redacted.make(`redis://127.0.0.1:${server.port}`)
    return {
      storages: [
        RedisCacheStorage.layerConfig({ url: Config.succeed(url) }),
        RedisCacheStorage.layerScoped(nodeRedis(way.port))
      ],
      trouble: () => trouble(server, way)
    }
  })

const modes = process.argv[2] === undefined ? ["none", "rdb", "aof"] as const : [process.argv[2] as Persistence]
for (const how of modes) await tryOut(how, trial(how))
