/** Who is compared with whom over a port: a process for each, which answers the same content. */
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { freePort } from "../test/freePort.js"
import { type Server, type Started, startProgram, startScript, startServer } from "./processes.js"

export type Kind = "small" | "large" | "huge" | "304" | "miss"

export interface Contestant {
  readonly name: string
  readonly isOurs?: boolean
  /** Where it answers what, on its port. What is not here it does not take part in. */
  readonly paths: { readonly [kind in Kind]?: string }
  /** A field, and what it says of a hit: that, or what it has said before. */
  readonly says?: readonly [field: string, value: RegExp | "the same"]
  readonly start: () => Promise<Started<number>>
  /** What it takes to have it. */
  readonly needs?: string
  /** Of what is compared, once it has started. */
  readonly versions?: { readonly [name: string]: () => string }
}

const folder = fileURLToPath(new URL("peers/", import.meta.url))

/** Installs what the lock in the folder says, where nothing is. */
const isInstalled = (): boolean =>
  existsSync(`${folder}node_modules`) ||
  spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] })
      .status === 0

/** Of a package in its folder. */
const version = (name: string) => (): string =>
  (JSON.parse(readFileSync(`${folder}node_modules/${name}/package.json`, "utf8")) as { version: string }).version

/** Of a program, as it prints it itself. */
const versionOf = (command: string, flag: string) => (): string => {
  const { stderr, stdout } = spawnSync(command, [flag], { encoding: "utf8" })
  return /\d+(?:\.\d+)+/.exec(`${stdout}${stderr}`)?.[0] ?? "unknown"
}

const sized = (before: string) => ({ small: `${before}/small`, large: `${before}/large`, huge: `${before}/huge` })

const own = (port: keyof Server["ports"], redisPort?: number) => async (): Promise<Started<number>> => {
  const { close, ports } = await startServer(...(redisPort === undefined ? [] : [String(redisPort)]))
  return { told: ports[port], close }
}

const ours = (name: string, before: string, start: Contestant["start"]): Contestant => ({
  name,
  isOurs: true,
  paths: { ...sized(before), "304": `${before}/small`, miss: `${before}/items/` },
  says: ["cache-status", /; hit; ttl=\d/],
  start
})

const startBare = () => startScript<number>("bareServer.ts")

const bare = (name: string): Contestant => ({
  name,
  paths: { ...sized(""), "304": "/small", miss: "/items/" },
  start: startBare
})

const npm = "npm ci in bench/peers"

const peer = (
  script: string,
  packages: ReadonlyArray<string>,
  contestant: Omit<Contestant, "start" | "needs" | "versions">
): Contestant => ({
  ...contestant,
  needs: npm,
  versions: Object.fromEntries(packages.map((name) => [name, version(name)])),
  start: () => {
    if (!isInstalled()) throw new Error("its packages could not be installed")
    return startScript<number>("peers/servers.mjs", script)
  }
})

/** A folder for a program, which goes with it. */
const inFolder = async (start: (folder: string) => Promise<Started<number>>): Promise<Started<number>> => {
  const folder = mkdtempSync(join(tmpdir(), "effect-http-cache-bench-"))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  try {
    const { close, told } = await start(folder)
    return { told, close: () => close().finally(remove) }
  } catch (error) {
    remove()
    throw error
  }
}

/** A proxy asks an origin of its own, which is the bare server, on the same core. */
const proxy = async (start: (port: number, origin: number, folder: string) => Promise<Started<number>>) => {
  const origin = await startBare()
  try {
    const { close, told } = await inFolder(async (folder) => start(await freePort(), origin.told, folder))
    return { told, close: () => close().finally(origin.close) }
  } catch (error) {
    await origin.close()
    throw error
  }
}

const nginxSettings = (port: number, origin: number, folder: string) => `
user ${userInfo().username};
daemon off;
worker_processes 1;
pid ${folder}/pid;
error_log ${folder}/error.log crit;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  keepalive_requests 1000000000;
  client_body_temp_path ${folder}/1;
  proxy_temp_path ${folder}/2;
  fastcgi_temp_path ${folder}/3;
  uwsgi_temp_path ${folder}/4;
  scgi_temp_path ${folder}/5;
  proxy_cache_path ${folder}/cache keys_zone=cache:64m max_size=1g use_temp_path=off;
  upstream origin { server 127.0.0.1:${origin}; keepalive 64; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache cache;
      proxy_cache_valid 200 10m;
      add_header X-Cache $upstream_cache_status;
    }
  }
}
`

const nginx: Contestant = {
  name: "nginx, proxy_cache",
  paths: { ...sized(""), "304": "/small", miss: "/items/" },
  says: ["x-cache", /^HIT$/],
  needs: "apt-get install nginx",
  versions: { nginx: versionOf("nginx", "-v") },
  start: () =>
    proxy((port, origin, folder) => {
      const file = join(folder, "nginx.conf")
      writeFileSync(file, nginxSettings(port, origin, folder))
      return startProgram("server", port, "nginx", ["-p", folder, "-e", join(folder, "error.log"), "-c", file])
    })
}

const varnish: Contestant = {
  name: "Varnish",
  paths: { ...sized(""), "304": "/small", miss: "/items/" },
  // Of a hit it has the number of the request that has filled it, too.
  says: ["x-varnish", /^\d+ \d+$/],
  needs: "apt-get install varnish",
  versions: { Varnish: versionOf("varnishd", "-V") },
  start: () =>
    proxy((port, origin, folder) => {
      const file = join(folder, "default.vcl")
      writeFileSync(
        file,
        `vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "${origin}"; }
sub vcl_backend_response { set beresp.ttl = 10m; }
`
      )
      const settings = ["-F", "-j", "none", "-n", folder, "-f", file, "-s", "malloc,512m", "-p", "thread_pools=1"]
      return startProgram("server", port, "varnishd", [...settings, "-a", `127.0.0.1:${port}`])
    })
}

/** On the core of the client: it stands for another machine. */
export const startRedis = (): Promise<Started<number>> =>
  inFolder(async (folder) => {
    const port = await freePort()
    const settings = [
      "--port",
      String(port),
      "--bind",
      "127.0.0.1",
      "--dir",
      folder,
      "--save",
      "",
      "--appendonly",
      "no"
    ]
    return startProgram("client", port, "redis-server", settings)
  })

/** The first one is what all are compared with, and the last one says how far the machine can be believed. */
export const contestants = (redisPort: number | undefined): ReadonlyArray<Contestant> => [
  bare("bare node:http"),
  ours("ours, lane", "", own("lane")),
  ours("ours, route", "/cached", own("routes")),
  ours("ours, router", "", own("around")),
  ...(redisPort === undefined ? [] : [
    ours("ours, near memory and Redis", "/cached", own("tiered", redisPort)),
    ours("ours, Redis", "/cached", own("redis", redisPort))
  ]),
  {
    name: "Effect, no cache",
    paths: { ...sized(""), miss: "/items/" },
    start: own("routes")
  },
  peer("fastify", ["fastify", "@fastify/etag"], {
    name: "fastify, no cache",
    paths: { ...sized(""), "304": "/tagged/small" }
  }),
  peer("hono", ["hono", "@hono/node-server"], {
    name: "Hono, no cache",
    paths: { ...sized(""), "304": "/tagged/small" }
  }),
  peer("ocache", ["h3", "srvx", "ocache"], {
    name: "h3 and ocache, as in Nitro",
    paths: { ...sized(""), "304": "/small", miss: "/items/" },
    says: ["x-cache", /^HIT$/]
  }),
  peer("apicache", ["express", "apicache"], {
    name: "Express and apicache",
    // Its `304` has a Content-Length, and `wrk` waits for as much.
    paths: { ...sized(""), miss: "/items/" },
    says: ["x-runs", "the same"]
  }),
  nginx,
  varnish,
  bare("bare node:http again")
]
