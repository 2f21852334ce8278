/**
 * Ten ways to break what keeps a collected response from being shown again; the model of test/model.ts must find each.
 *
 *     npx tsx checks/fences.ts [--seed NUMBER]
 *
 * What is broken is a copy of the checkout. The exit code is 1 when the model finds nothing in one of them, or something
 * where nothing is broken.
 */
import { spawn } from "node:child_process"
import { rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { copy, mutateAll, type Mutation } from "./mutation.js"
import { checkout } from "./sources.js"

interface Broken {
  readonly what: string
  /** Where two guards keep the same thing, both are broken at once. */
  readonly mutations: ReadonlyArray<Omit<Mutation, "what">>
}

const broken: ReadonlyArray<Broken> = [
  {
    what: "no check at set",
    mutations: [{
      within: "InMemoryCacheStorage.Memory.set",
      source: "if (!this.isCurrent({ keys: [lookup.key], groups: given?.groups ?? [] }, fill)) return overtaken",
      mutated: ""
    }]
  },
  {
    what: "the comparison turned round",
    mutations: [{
      within: "collects.strongest",
      source: "strongest > since ? hard : middle > since ? soft : weakest > since ? softUnlessError : spared",
      mutated: "strongest < since ? hard : middle < since ? soft : weakest < since ? softUnlessError : spared"
    }]
  },
  {
    what: "joining after a collect",
    mutations: [
      { within: "collapse.leaveOvertaken", source: "if (holds === false)", mutated: "if (false)" },
      {
        within: "collapse.holdsFor",
        source: "if (groups.length === 0 || isKept)",
        mutated: "if (groups.length >= 0 || isKept)"
      },
      {
        within: "collecting.collect",
        source: "runtime.singleFlight.close((flight) => isOfAll || nameOfKey(keyOfFlight(flight)) === name)",
        mutated: ""
      }
    ]
  },
  {
    what: "a refresh with a fill that begins after its handler",
    mutations: [{
      within: "revalidate.onBehalfOfNobody",
      source: "return change(request, {",
      mutated: "const { storage } = request; const set: typeof storage.set = (item, fill) => " +
        "Effect.flatMap(storage.begin(fill.lookup), (late) => storage.set(item, late)); " +
        "return change({ ...request, storage: { ...storage, set } }, {"
    }]
  },
  {
    what: "a POST that is not watched",
    mutations: [
      {
        within: "storageAccess.holds",
        source: "return call(callOf(access, \"holds\", key), () => storage.holds({ keys, groups }, fill))",
        mutated: "return Exit.succeed(fill !== undefined && keys.length + groups.length >= 0)"
      },
      { within: "bypass.passAndStore", source: "watch.collects > own", mutated: "false" }
    ]
  },
  {
    what: "a collect after the answer",
    mutations: [{
      within: "invalidate.collecting",
      source: "return collect(options.changed(exit.value), options.more(exit.value))",
      mutated: "return Effect.forkDaemon(collect(options.changed(exit.value), options.more(exit.value)))"
    }]
  },
  {
    what: "a read before a collect is delivered",
    mutations: [{
      within: "collecting.isReadable",
      source: "if (undelivered.isEmpty) return yes",
      mutated: "return yes"
    }]
  },
  {
    what: "the groups of an item not looked at",
    mutations: [{
      within: "InMemoryCacheStorage.Memory.forceOn",
      source: "entry.checked !== count",
      mutated: "entry.checked < 0"
    }]
  },
  {
    what: "a response shared whose group was collected before who asks came",
    mutations: [{
      within: "collapse.holdsFor",
      source: "if (groups.length === 0 || isKept)",
      mutated: "if (groups.length >= 0 || isKept)"
    }]
  },
  {
    what: "an item of a group served before the collect is delivered",
    mutations: [{ within: "collecting.isUndelivered", source: "!undelivered.isEmpty &&", mutated: "false &&" }]
  }
]

const { values: args } = parseArgs({ options: { seed: { type: "string" } } })
const seed = Number(args.seed ?? Math.floor(Math.random() * 2 ** 31))

/** What is rare takes the model up to minutes; it stops at the first answer that is too old. */
const mostOperations = 200_000

/** What the model's test says. */
const run = async (folder: string, storage: string, env: Record<string, string> = {}): Promise<string> => {
  const flags = ["--no-cache", "--configLoader=runner"]
  const child = spawn(join(folder, "node_modules/.bin/vitest"), ["run", "test/model.test.ts", ...flags], {
    cwd: folder,
    env: { ...process.env, ...env, MODEL_SEED: String(seed), MODEL_STORAGE: storage, NO_COLOR: "1", FORCE_COLOR: "0" }
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => output += data)
  await new Promise((resolve) => child.on("close", resolve))
  return output
}

// All are made before the first one is tried: a place that is not found ends the check at once.
const mutated = broken.map(({ mutations, what }) => ({
  what,
  files: mutateAll(mutations.map((mutation) => ({ ...mutation, what })))
}))
console.log(`seed ${seed}`)
const storages = ["at once", "after a yield"]
const foundIn = (output: string): string | undefined => /: shown \d+\n.*seed \d+, world (\d+)/.exec(output)?.[1]

// What is found with nothing broken would be found in everything.
await Promise.all(storages.map(async (storage) => {
  const output = await run(checkout, storage)
  if (!/^ *Tests +1 passed/m.test(output)) {
    throw new Error(`nothing broken, a storage that answers ${storage}:\n${output}`)
  }
}))
let missed = 0
for (const { files, what } of mutated) {
  const folder = await copy()
  try {
    for (const { after, file } of files) await writeFile(join(folder, file), after)
    await Promise.all(storages.map(async (storage) => {
      const output = await run(folder, storage, { MODEL_OPERATIONS: String(mostOperations) })
      const found = foundIn(output)
      const name = `${what}, a storage that answers ${storage}`
      if (found === undefined) missed++
      console.log(found === undefined ? `${name}: NOT FOUND\n${output}` : `${name}: found in world ${found}`)
    }))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
const all = mutated.length * storages.length
console.log(`${all - missed} of ${all} found`)
process.exitCode = missed > 0 ? 1 : 0
