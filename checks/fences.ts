/**
 * Six ways to break what keeps a collected response from being shown again; the model of test/model.ts must find each.
 *
 *     npx tsx checks/fences.ts [--seed NUMBER]
 *
 * What is broken is a copy of the checkout. The exit code is 1 when the model finds nothing in one of them.
 */
import { spawn } from "node:child_process"
import { rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { copy, mutate, type Mutation } from "./mutation.js"

const broken: ReadonlyArray<Mutation> = [
  {
    what: "no check at set",
    within: "InMemoryCacheStorage.Memory.put",
    source: "if (!this.fences.isCurrent(item.fence, lookup.key)) return Effect.succeed(false)",
    mutated: ""
  },
  {
    what: "the comparison turned round",
    within: "InMemoryCacheStorage.Fences.isCurrent",
    source: ">=",
    mutated: "<="
  },
  {
    what: "joining after a collect",
    within: "joining.nameOf",
    source: "found.fence ?? fenceWithout(storage)",
    mutated: "found.fence === undefined ? fenceWithout(storage) : \"\""
  },
  {
    what: "a refresh without a fence",
    within: "refreshing.orderOf",
    source: "lookup: lookupOf(anonymous)",
    mutated: "lookup: lookupOf(anonymous), storage: { ...storage, " +
      "set: (item: CacheItem, lookup: Place[\"lookup\"]) => storage.set({ ...item, fence: \"Infinity\" }, lookup) }"
  },
  {
    what: "a POST that is not watched",
    within: "keeping.keepingForGet",
    source: "if (watch.collects > (collected.has(key) ? 1 : 0)) return",
    mutated: ""
  },
  {
    what: "a collect after the answer",
    within: "HttpCache.collecting",
    source: "return forget(exit.value)",
    mutated: "return Effect.forkDaemon(forget(exit.value))"
  }
]

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

// All are made before the first one is tried: a place that is not found ends the check at once.
const mutated = broken.map((mutation) => ({ what: mutation.what, ...mutate(mutation) }))
console.log(`seed ${seed}`)
const storages = ["at once", "after a yield"]
let missed = 0
for (const { after, file, what } of mutated) {
  const folder = await copy()
  try {
    await writeFile(join(folder, file), after)
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
const all = mutated.length * storages.length
console.log(`${all - missed} of ${all} found`)
process.exitCode = missed > 0 ? 1 : 0
