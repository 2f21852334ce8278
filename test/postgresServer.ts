/** A real PostgreSQL: on a free port of this machine, in a temporary folder, stopped by its process id. */
import { Effect } from "effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chownSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { freePort } from "./freePort.js"
import { programOf } from "./servers.js"

/** It does not run as root: `postgres`, where there is one, or nobody. */
const owner = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const idOf = (option: string): number => {
    const { status, stdout } = spawnSync("id", [option, "postgres"], { encoding: "utf8" })
    return status === 0 ? Number(stdout) : 65_534
  }
  return { uid: idOf("-u"), gid: idOf("-g") }
}

export class PostgresServer {
  readonly port: number
  private readonly folder = mkdtempSync(join(tmpdir(), "effect-http-cache-postgres-"))
  private readonly owner = owner()
  private process: ChildProcess | undefined

  constructor(port: number) {
    this.port = port
    if (this.owner !== undefined) chownSync(this.folder, this.owner.uid, this.owner.gid)
  }

  initialize(): void {
    const options = ["-D", this.folder, "-U", "test", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
    const { status, stderr } = spawnSync(programOf("initdb"), options, {
      ...this.owner,
      cwd: this.folder,
      encoding: "utf8"
    })
    if (status !== 0) throw new Error(`initdb ended with ${status}: ${stderr}`)
  }

  async start(): Promise<void> {
    const place = ["-D", this.folder, "-p", String(this.port), "-h", "127.0.0.1", "-k", ""]
    this.process = spawn(programOf("postgres"), [...place, "-c", "max_connections=60"], {
      ...this.owner,
      cwd: this.folder,
      stdio: "ignore"
    })
    while (!this.answers()) {
      if (this.process.exitCode !== null) throw new Error(`postgres ended with ${this.process.exitCode}`)
      await setTimeout(20)
    }
  }

  /** `SIGQUIT` is a crash: what the server has not written yet is recovered when it is started again. */
  async stop(signal: "SIGINT" | "SIGQUIT" = "SIGINT"): Promise<void> {
    const { process } = this
    if (process === undefined || process.exitCode !== null || process.signalCode !== null) return
    const ended = once(process, "exit")
    process.kill(signal)
    await ended
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  private answers(): boolean {
    return spawnSync(programOf("pg_isready"), ["-h", "127.0.0.1", "-p", String(this.port)]).status === 0
  }
}

/** A server that is stopped with the scope. */
export const postgresServer = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = new PostgresServer(await freePort())
    server.initialize()
    await server.start()
    return server
  }),
  (server) => Effect.promise(() => server.remove())
)
