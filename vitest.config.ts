import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
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

export default defineConfig({
  resolve: {
    alias: [
      { find: /^effect-http-cache$/, replacement: source("index.ts") },
      { find: /^effect-http-cache\/(.*)$/, replacement: `${source("")}$1.ts` }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/servers.ts",
    sequence: { sequencer: SlowestFirst },
    // Of two cores one would have nothing to do.
    maxWorkers: "100%",
    // A slow machine is no failure.
    testTimeout: 60_000,
    typecheck: { include: ["test/**/*.test-d.ts"], tsconfig: "./tsconfig.json" }
  }
})
