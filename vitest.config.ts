import { fileURLToPath } from "node:url"
import { defineConfig, type Plugin } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

/** They take up to minutes. Where they begin last, the other cores have nothing to do until they end. */
const slowest = ["fuzz", "model", "nodesModel", "oneView", "examples", "Crowds"].map((name) => `/test/${name}.test.ts`)

const isSlow = ({ moduleId }: TestSpecification) => slowest.some((path) => moduleId.endsWith(path))

class SlowestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    return [...sorted.filter(isSlow), ...sorted.filter((file) => !isSlow(file))]
  }
}

/** With `LANE=true` all servers of the tests have a lane, and all routes that could ask for it do. */
const inLane: Plugin = {
  name: "in-lane",
  enforce: "pre",
  transform: (code, id) => {
    if (!id.endsWith("/src/policy/policy.ts")) return undefined
    const asked = code.replace("lane: route.lane === true", "lane: true")
    if (asked === code) {
      throw new Error("vitest.config.ts: src/policy/policy.ts says otherwise which routes ask for the lane")
    }
    return asked
  }
}

const isInLane = process.env["LANE"] === "true"

export default defineConfig({
  plugins: isInLane ? [inLane] : [],
  resolve: {
    alias: [
      { find: /^effect-http-cache$/, replacement: source("index.ts") },
      { find: /^effect-http-cache\/(.*)$/, replacement: `${source("")}$1.ts` }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/servers.ts",
    setupFiles: isInLane ? ["test/inLane.ts"] : [],
    sequence: { sequencer: SlowestFirst },
    // Each file would load all modules anew, for a third of the time. `test/inLane.ts` has to come before those of the platform.
    isolate: isInLane,
    // Of two cores one would have nothing to do.
    maxWorkers: "100%",
    // A slow machine is no failure.
    testTimeout: 60_000,
    typecheck: { include: ["test/**/*.test-d.ts"], tsconfig: "./tsconfig.json" }
  }
})
