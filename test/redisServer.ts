/** A real Redis: on a free port of this machine, in a temporary folder, stopped by its process id. */
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { freePort } from "./freePort.js"
import { bareClient } from "./redisLayer.js"

/** How a server keeps its data. */
export type Persistence = "none" | "rdb" | "aof"

const settingsOf: { readonly [How in Persistence]: ReadonlyArray<string> } = {
  none: ["--save", "", "--appendonly", "no"],
  rdb: ["--save", "", "--appendonly", "no"],
  aof: ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = Net.connect(port, "127.0.0.1", () => socket.write("PING\r\n"))
    socket.on("data", (data) => {
      socket.destroy()
      resolve(data.toString().startsWith("+PONG"))
    })
    socket.on("error", () => resolve(false))
  })

export class RedisServer {
  readonly port: number
  private readonly folder: string
  private readonly settings: ReadonlyArray<string>
  private process: ChildProcess | undefined

  constructor(port: number, settings: ReadonlyArray<string>) {
    this.port = port
    this.folder = mkdtempSync(join(tmpdir(), "effect-http-cache-redis-"))
    this.settings = settings
  }

  async start(): Promise<void> {
    const place = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.folder]
    this.process = spawn("redis-server", [...this.file, ...place, ...this.settings], { stdio: "ignore" })
    await once(this.process, "spawn")
    while (!await answers(this.port)) {
      if (this.process.exitCode !== null) throw new Error(`redis-server ended with ${this.process.exitCode}`)
      await setTimeout(5)
    }
  }

  /** A sentinel rewrites the file that it is started with. */
  private get file(): ReadonlyArray<string> {
    if (!this.settings.includes("--sentinel")) return []
    const file = join(this.folder, "sentinel.conf")
    if (!existsSync(file)) writeFileSync(file, "")
    return [file]
  }

  /** By a signal to this one process. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGKILL"): Promise<void> {
    const { process } = this
    if (process === undefined || process.exitCode !== null || process.signalCode !== null) return
    const ended = once(process, "exit")
    process.kill(signal)
    await ended
  }

  /** It stands still, and its connections stay. */
  pause(): void {
    this.process?.kill("SIGSTOP")
  }

  resume(): void {
    this.process?.kill("SIGCONT")
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** A server that is stopped with the scope. */
export const redisServer = (how: Persistence = "none", more: ReadonlyArray<string> = []) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = new RedisServer(await freePort(), [...settingsOf[how], ...more])
      await server.start()
      return server
    }),
    (server) => Effect.promise(() => server.remove())
  )

/** A server, its replica, and a sentinel that puts the replica in its place. They are stopped with the scope. */
export const redisSentinel = (name: string) =>
  Effect.gen(function*() {
    const master = yield* redisServer()
    const replica = yield* redisServer("none", ["--replicaof", "127.0.0.1", String(master.port)])
    const sentinel = yield* redisServer("none", ["--sentinel"])
    const bare = yield* bareClient(sentinel.port)
    yield* Effect.promise(async () => {
      await bare.call("SENTINEL", "MONITOR", name, "127.0.0.1", master.port, 1)
      await bare.call("SENTINEL", "SET", name, "down-after-milliseconds", 300, "failover-timeout", 5000)
    })
    const knowsReplica = Effect.promise(async () =>
      String(await bare.call("SENTINEL", "MASTER", name)).includes("num-slaves,1")
    )
    yield* Effect.repeat(Effect.delay(knowsReplica, "20 millis"), { until: (knows) => knows })
    return { master, replica, sentinel }
  })

/** Three servers that share the slots. They are stopped with the scope. */
export const redisCluster = Effect.gen(function*() {
  const servers = yield* Effect.all(
    [1, 2, 3].map(() =>
      Effect.flatMap(Effect.promise(freePort), (bus) =>
        redisServer("none", [
          "--cluster-enabled",
          "yes",
          "--cluster-port",
          String(bus),
          "--cluster-node-timeout",
          "2000"
        ]))
    )
  )
  const bare = yield* Effect.all(servers.map(({ port }) => bareClient(port)))
  const each = (args: (at: number) => ReadonlyArray<string | number>) =>
    Effect.promise(() => Promise.all(bare.map((client, at) => client.call("CLUSTER", [...args(at)]))))
  yield* each((at) => ["ADDSLOTSRANGE", Math.ceil(at * 16_384 / 3), Math.ceil((at + 1) * 16_384 / 3) - 1])
  const { port } = servers[0]!
  const bus = yield* Effect.promise(() => bare[0]!.config("GET", "cluster-port"))
  yield* each((at) => at === 0 ? ["INFO"] : ["MEET", "127.0.0.1", port, (bus as Array<string>)[1]!])
  const isReady = Effect.map(
    each(() => ["INFO"]),
    (infos) => infos.every((info) => /cluster_state:ok[\s\S]*cluster_known_nodes:3/.test(String(info)))
  )
  yield* Effect.repeat(Effect.delay(isReady, "20 millis"), { until: (isReady) => isReady })
  return { bare, servers }
})
