/** Before any suite runs: says in one line which ones a server is missing for. They are left out, and with `CI` they fail. */
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"

/** The function that describes suites of a server, and the package of Debian that has it. */
const servers = {
  "redis-server": { describe: "describeRedis", package: "redis-server" },
  "postgres": { describe: "describeSql", package: "postgresql" }
} as const

const debian = "/usr/lib/postgresql"

/** Debian has the programs of PostgreSQL beside the path. */
export const programOf = (name: string): string => {
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  return versions.map((version) => `${debian}/${version}/bin/${name}`).find((path) => existsSync(path)) ?? name
}

export const isInstalled = (server: keyof typeof servers): boolean =>
  spawnSync(programOf(server), ["--version"]).status === 0

/** A suite of a server that is missing is left out; with `CI` it fails. */
export const isRun = (server: keyof typeof servers): boolean => isInstalled(server) || process.env["CI"] !== undefined

/** Files with a suite that this function describes. */
const filesWith = (describe: string): ReadonlyArray<string> =>
  readdirSync(import.meta.dirname).filter((file) =>
    file.endsWith(".test.ts") && readFileSync(`${import.meta.dirname}/${file}`, "utf8").includes(`${describe}(`)
  )

export default () => {
  const what = process.env["CI"] === undefined ? "are left out" : "fail"
  for (const server of Object.keys(servers) as ReadonlyArray<keyof typeof servers>) {
    if (isInstalled(server)) continue
    const { describe, package: name } = servers[server]
    const files = filesWith(describe).join(", ")
    process.stderr.write(`Without ${server} these ${what}: ${files}. Install it: apt-get install -y ${name}\n`)
  }
}
