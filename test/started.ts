/** Examples as a user runs them: processes of their own. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

export { freePort } from "./freePort.js"

const root = fileURLToPath(new URL("..", import.meta.url))

const children: Array<ChildProcess> = []

/** For an `afterAll`. */
export const endAll = (): void => children.forEach((child) => child.kill())

export const started = (example: string, env: NodeJS.ProcessEnv, ...args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, ["--import", "tsx", example, ...args], { cwd: root, env })
  children.push(child)
  let output = ""
  child.stdout.on("data", (chunk) => output += chunk)
  child.stderr.on("data", (chunk) => output += chunk)
  const exited = once(child, "exit")
  /** Until it has said this so often. */
  const says = async (text: string, times = 1): Promise<void> => {
    while (output.split(text).length <= times) {
      await Promise.race([once(child.stdout, "data"), exited])
      if (child.exitCode !== null) throw new Error(output)
    }
  }
  return { child, exited, output: () => output, says }
}
