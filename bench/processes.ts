/** The server and its client, each on a core of its own where `taskset` is there. */
import { execFile, spawn, spawnSync } from "node:child_process"
import { connect } from "node:net"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const exists = (command: string): boolean => spawnSync(command, ["-V"], { stdio: "ignore" }).error === undefined

export const hasClient = (): boolean => exists("wrk")

const pathOf = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

/** Those that this process may run on, of which `taskset` says `0-3,6`. */
const cores = (): ReadonlyArray<string> => {
  if (!exists("taskset")) return []
  const told = spawnSync("taskset", ["-cp", String(process.pid)], { encoding: "utf8" }).stdout
  return told.slice(told.lastIndexOf(":") + 1).trim().split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number)
    return Array.from({ length: last - first + 1 }, (_, at) => String(first + at))
  })
}

const [serverCore, clientCore] = cores()

export const isPinned = clientCore !== undefined

/** `taskset` becomes the command, so that it is the command that is ended. */
const pinned = (core: string | undefined, command: string, args: ReadonlyArray<string>) =>
  core === undefined || !isPinned ? { command, args } : { command: "taskset", args: ["-c", core, command, ...args] }

type Side = "server" | "client"

/** Its standard output can be read; it ends with its standard input, or by `close`. */
const spawned = (side: Side, command: string, args: ReadonlyArray<string>) => {
  const own = pinned(side === "server" ? serverCore : clientCore, command, args)
  const child = spawn(own.command, own.args, { stdio: ["pipe", "pipe", "pipe"] })
  let said = ""
  child.stderr.on("data", (data) => said = `${said}${String(data)}`.slice(-2000))
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()))
  const close = async () => {
    child.stdin.on("error", () => {}).end()
    const late = setTimeout(() => child.kill("SIGKILL"), 5000)
    await gone
    clearTimeout(late)
  }
  const failed = new Promise<never>((_, reject) => {
    const fail = (what: string) => reject(new Error(`${command} ${what}. ${said}`.trim()))
    child.once("error", reject).once("exit", (code) => fail(`ended with ${String(code)}`))
    setTimeout(() => fail("did not start within a minute"), 60_000).unref()
  })
  failed.catch(() => {})
  return { child, close, failed }
}

export interface Started<Told> {
  readonly told: Told
  readonly close: () => Promise<void>
}

/** A script of this folder that prints, as JSON and in one line, what there is to know of it, and ends with its standard input. */
export const startScript = async <Told>(file: string, ...args: ReadonlyArray<string>): Promise<Started<Told>> => {
  const { child, close, failed } = spawned("server", process.execPath, [...process.execArgv, pathOf(file), ...args])
  child.stderr.pipe(process.stderr)
  const line = new Promise<string>((resolve) => createInterface(child.stdout).once("line", resolve))
  try {
    return { told: JSON.parse(await Promise.race([line, failed])) as Told, close }
  } catch (error) {
    await close()
    throw error
  }
}

export interface Server {
  /**
   * Of the server with the routes, of that with a cache around its router, of that with a lane, and of Node's own; where a
   * port of Redis was given, also of the routes over it, and of those with a near storage before it.
   */
  readonly ports: { readonly [name in "routes" | "around" | "lane" | "bare" | "redis" | "tiered"]: number }
  readonly close: () => Promise<void>
}

export const startServer = async (...args: ReadonlyArray<string>): Promise<Server> => {
  const { close, told } = await startScript<Server["ports"]>("server.ts", ...args)
  return { ports: told, close }
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true)).on("error", () => resolve(false))
    socket.on("connect", () => socket.destroy())
  })

/** A program that listens on a port, and ends by `SIGTERM`. */
export const startProgram = async (
  side: Side,
  port: number,
  command: string,
  args: ReadonlyArray<string>
): Promise<Started<number>> => {
  const { child, close, failed } = spawned(side, command, args)
  child.stdout.resume()
  const end = () => {
    child.kill("SIGTERM")
    return close()
  }
  const listening = async () => {
    while (!await listens(port)) await sleep(20)
  }
  try {
    await Promise.race([listening(), failed])
    return { told: port, close: end }
  } catch (error) {
    await end()
    throw error
  }
}

export interface Load {
  readonly url: string
  readonly seconds: number
  /** What `wrk` is told to ask for, and the arguments of that. */
  readonly script?: ReadonlyArray<string>
  readonly fields?: ReadonlyArray<string>
  readonly connections?: number
}

/** What `wrk` asks for beside the one URI. */
export interface Requests {
  /** A new URI in each request, with this name in it. */
  readonly new?: string | undefined
  /** So many URIs in turn. */
  readonly several?: number | undefined
  /** So many connections begin when all are there, half a second late. */
  readonly together?: number | undefined
}

export const requests = (asked: Requests): ReadonlyArray<string> => [
  pathOf("requests.lua"),
  ...Object.entries(asked).flatMap(([kind, value]) => value === undefined ? [] : [`${kind}=${String(value)}`])
]

export const connections = 32

/** Of a duration as `wrk` writes it. */
const milliseconds: { readonly [unit: string]: number } = { us: 0.001, ms: 1, s: 1000, m: 60_000 }

/** What `wrk` counted. An answer that is neither `2xx` nor `3xx`, or a connection that broke, is an error. */
export const load = async ({ connections: count = connections, fields = [], script = [], seconds, url }: Load) => {
  const [file, ...own] = script
  const options = [
    ["-t", "1", "-c", String(count), "-d", `${Math.ceil(seconds)}s`, "--latency", "--timeout", "10s"],
    fields.flatMap((field) => ["-H", field]),
    file === undefined ? [] : ["-s", file],
    [url, "--", ...own]
  ].flat()
  const { args, command } = pinned(clientCore, "wrk", options)
  const running = promisify(execFile)(command, args, { timeout: (seconds + 20) * 1000 })
  // It knows whole seconds only, and counts until it is interrupted.
  const early = Number.isInteger(seconds) ? undefined : setTimeout(() => running.child.kill("SIGINT"), seconds * 1000)
  const { stdout } = await running.finally(() => clearTimeout(early))
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? NaN)
  const [wrong] = /(?:Non-2xx|Socket errors).*/.exec(stdout) ?? []
  if (wrong !== undefined) throw new Error(`${url}: ${wrong}`)
  const unit = /99%\s+[\d.]+(\w+)/.exec(stdout)?.[1] ?? ""
  return {
    requests: number(/(\d+) requests in/),
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    /** Milliseconds. */
    p99: number(/99%\s+([\d.]+)/) * (milliseconds[unit] ?? NaN)
  }
}
