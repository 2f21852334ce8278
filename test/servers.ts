/** Before any suite runs: says in one line which ones a server is missing for. They are left out, and with `CI` they fail. */
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"

export const isInstalled = (server: string): boolean => spawnSync(server, ["--version"]).status === 0

/** Files with a suite that this function describes. */
const filesWith = (describe: string): ReadonlyArray<string> =>
  readdirSync(import.meta.dirname).filter((file) =>
    file.endsWith(".test.ts") && readFileSync(`${import.meta.dirname}/${file}`, "utf8").includes(`${describe}(`)
  )

export default () => {
  if (isInstalled("redis-server")) return
  const files = filesWith("describeRedis").join(", ")
  const what = process.env["CI"] === undefined ? "are left out" : "fail"
  process.stderr.write(`Without redis-server these ${what}: ${files}. Install it: apt-get install -y redis-server\n`)
}
