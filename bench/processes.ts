/** The server and its client, each on a core of its own where `taskset` is there. */
import { execFile, spawn, spawnSync } from "node:child_process"
import { createInterface } from "node:readline"
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

export interface Server {
  /** Of the server with the routes, of that with a cache around its router, of that with a lane, and of Node's own. */
  readonly ports: { readonly [name in "routes" | "around" | "lane" | "bare"]: number }
  readonly close: () => Promise<void>
}

export const startServer = async (): Promise<Server> => {
  const { args, command } = pinned(serverCore, process.execPath, [...process.execArgv, pathOf("server.ts")])
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] })
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()))
  const close = async () => {
    child.stdin.on("error", () => {}).end()
    const late = setTimeout(() => child.kill("SIGKILL"), 5000)
    await gone
    clearTimeout(late)
  }
  try {
    const ports = await new Promise<string>((resolve, reject) => {
      createInterface(child.stdout).once("line", resolve)
      child.once("error", reject).once("exit", (code) => reject(new Error(`the server ended with ${String(code)}`)))
      setTimeout(() => reject(new Error("the server did not start within 30 seconds")), 30_000).unref()
    })
    return { ports: JSON.parse(ports) as Server["ports"], close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Whoever starts the client with a name gets URIs that are new in each request. */
export interface Load {
  readonly url: string
  readonly seconds: number
  readonly name: string | undefined
  readonly fields: ReadonlyArray<string>
}

export const connections = 32

/** What `wrk` counted. An answer that is neither `2xx` nor `3xx`, or a connection that broke, is an error. */
export const load = async ({ fields, name, seconds, url }: Load) => {
  const script = name === undefined ? [] : ["-s", pathOf("unique.lua")]
  const own = name === undefined ? [] : ["--", name]
  const options = [
    "-t",
    "1",
    "-c",
    String(connections),
    "-d",
    `${seconds}s`,
    ...fields.flatMap((field) => ["-H", field]),
    ...script,
    url,
    ...own
  ]
  const { args, command } = pinned(clientCore, "wrk", options)
  const { stdout } = await promisify(execFile)(command, args, { timeout: (seconds + 20) * 1000 })
  const count = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? NaN)
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${url}: ${stdout}`)
  return { requests: count(/(\d+) requests in/), perSecond: count(/Requests\/sec:\s+([\d.]+)/) }
}
