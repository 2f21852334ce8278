/**
 * Six ways to break what keeps a collected response from being shown again; the model of test/model.ts must find each.
 *
 *     npx tsx checks/fences.ts [--seed NUMBER]
 *
 * What is broken is a copy of the checkout. The exit code is 1 when the model finds nothing in one of them.
 */
import { spawn } from "node:child_process"
import { readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { checkout, copy, mutate, type Mutation } from "./mutation.js"

const broken: { readonly [what: string]: Mutation } = {
  "no check at set": {
    file: "src/InMemoryCacheStorage.ts",
    source: "if (!this.fences.isCurrent(item.fence, lookup.key)) return Effect.succeed(false)",
    negated: ""
  },
  "the comparison turned round": {
    file: "src/InMemoryCacheStorage.ts",
    source: "Number(fence) >= this.countOf(key)",
    negated: "Number(fence) <= this.countOf(key)"
  },
  "joining after a collect": {
    file: "src/internal/joining.ts",
    source: "found.fence ?? fenceWithout(storage)",
    negated: "found.fence === undefined ? fenceWithout(storage) : \"\""
  },
  "a refresh without a fence": {
    file: "src/internal/refreshing.ts",
    source: "place: { ...place, lookup: lookupOf(anonymous) }",
    negated: "place: { ...place, lookup: lookupOf(anonymous), storage: { ...storage, " +
      "set: (item: CacheItem, lookup: Place[\"lookup\"]) => storage.set({ ...item, fence: \"Infinity\" }, lookup) } }"
  },
  "a POST that is not watched": {
    file: "src/internal/keeping.ts",
    source: "if (watch.collects > (collected.has(key) ? 1 : 0)) return",
    negated: ""
  },
  "a collect after the answer": {
    file: "src/HttpCache.ts",
    source: "if (exit._tag === \"Success\") return forget(exit.value)",
    negated: "if (exit._tag === \"Success\") return Effect.forkDaemon(forget(exit.value))"
  }
}

const { values: args } = parseArgs({ options: { seed: { type: "string" } } })
const seed = Number(args.seed ?? Math.floor(Math.random() * 2 ** 31))

/** What the model's test says. */
const run = async (folder: string, storage: string): Promise<string> => {
  const flags = ["--no-cache", "--configLoader=runner"]
  const child = spawn(join(folder, "node_modules/.bin/vitest"), ["run", "test/model.test.ts", ...flags], {
    cwd: folder,
    env: { ...process.env, MODEL_SEED: String(seed), MODEL_STORAGE: storage, NO_COLOR: "1", FORCE_COLOR: "0" }
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => output += data)
  await new Promise((resolve) => child.on("close", resolve))
  return output
}

console.log(`seed ${seed}`)
const storages = ["at once", "after a yield"]
let missed = 0
for (const [what, mutation] of Object.entries(broken)) {
  const { text } = mutate(await readFile(join(checkout, mutation.file), "utf8"), mutation)
  const folder = await copy()
  try {
    await writeFile(join(folder, mutation.file), text)
    for (const storage of storages) {
      const output = await run(folder, storage)
      const found = /: shown \d+\n.*seed \d+, world (\d+)/.exec(output)
      const name = `${what}, a storage that answers ${storage}`
      if (found === null) missed++
      console.log(found === null ? `${name}: NOT FOUND\n${output}` : `${name}: found in world ${found[1]}`)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
const all = Object.keys(broken).length * storages.length
console.log(`${all - missed} of ${all} found`)
process.exitCode = missed > 0 ? 1 : 0
