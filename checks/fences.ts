/**
 * Ten ways to break what keeps a collected response from being shown again, which the model of test/model.ts must find, three
 * ways to break what keeps a lane from answering it, which the same model must find through a lane, and ten ways to break a near
 * storage before a far one, which that of test/nodesModel.ts must find.
 *
 *     npx tsx checks/fences.ts [--seed NUMBER] [--only model|lane|nodes]
 *
 * What is broken is a copy of the checkout. The exit code is 1 when a model finds nothing in one of them, or something where
 * nothing is broken.
 */
import { spawn } from "node:child_process"
import { rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { copy, mutateAll, type Mutated, type Mutation } from "./mutation.js"
import { checkout } from "./sources.js"

interface Broken {
  readonly what: string
  /** Where two guards keep the same thing, both are broken at once. */
  readonly mutations: ReadonlyArray<Omit<Mutation, "what">>
}

const goesOnOverAll: Broken = {
  what: "the fill of a POST that goes on over every collect",
  mutations: [{
    within: "InMemoryCacheStorage.Memory.collect",
    source: "this.isCurrent({ keys: [own.lookup.key], groups: [] }, own)",
    mutated: "own.since !== undefined"
  }]
}

const fences: ReadonlyArray<Broken> = [
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
      { within: "collapse.leaveOvertaken", source: "if (holds !== true) leave()", mutated: "" },
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
  goesOnOverAll,
  {
    what: "a collect after the answer",
    mutations: [{
      within: "invalidate.collecting",
      source: "return collect(options.changed(exit.value))",
      mutated: "return Effect.forkDaemon(collect(options.changed(exit.value)))"
    }]
  },
  {
    what: "a read before a collect is delivered",
    mutations: [{
      within: "collecting.deliverPending",
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

const lanes: ReadonlyArray<Broken> = [
  {
    what: "a lane that reads the storage before a collect is delivered",
    mutations: [{
      within: "handle.freshAtOnce",
      source: "valueOf(lookup(access))?.item",
      mutated: "valueOf(access.storage.get(access.lookup))"
    }]
  },
  {
    what: "a lane that answers what was collected softly",
    mutations: [{
      within: "handle.freshAtOnce",
      source: "Reuse.decide(item, Reuse.anybody, now(access))",
      mutated: "Reuse.decide({ ...item, alwaysValidate: false }, Reuse.anybody, now(access))"
    }]
  },
  {
    what: "a lane that keeps what it has written by the key, and not by the item",
    mutations: [
      {
        within: "ready.sentBefore",
        source: "tableFor(asking.condition, now).get(item)",
        mutated:
          "(asking.condition === \"\" ? globalThis.byKey?.get(item.key) : tableFor(asking.condition, now).get(item))"
      },
      {
        within: "ready.rememberSent",
        source: "tableFor(condition, now).set(item,",
        mutated: "(condition === \"\" ? globalThis.byKey ??= new Map() : tableFor(condition, now))" +
          ".set(condition === \"\" ? item.key : item,"
      }
    ]
  }
]

const tiers: ReadonlyArray<Broken> = [
  {
    what: "what is found far kept near by a fill that begins after it was found",
    mutations: [{
      within: "TieredCacheStorage.Tiered.takeNear",
      source: "Effect.as(this.near.set(far, fill), far)",
      mutated: "Effect.as(Effect.flatMap(this.near.begin(lookup), (late) => " +
        "this.near.set(far, { ...late, item: fill.item })), far)"
    }]
  },
  {
    what: "a message that is not heeded",
    mutations: [{
      within: "TieredCacheStorage.listen",
      source: "(names) => near.collect(names)",
      mutated: "(names) => names.everything === true ? near.collect(names) : Effect.void"
    }]
  },
  {
    what: "a connection that is there again and forgets nothing",
    mutations: [{
      within: "TieredCacheStorage.listen",
      source: "(names) => near.collect(names)",
      mutated: "(names) => names.everything === true ? Effect.void : near.collect(names)"
    }]
  },
  {
    what: "a connection that is lost for ever",
    mutations: [{
      within: "TieredCacheStorage.listen",
      source: "Effect.repeat(Schedule.spaced(listensAgainAfter)),",
      mutated: "Effect.repeat(Schedule.stop),"
    }]
  },
  {
    what: "a collect that does not reach what is near",
    mutations: [{
      within: "TieredCacheStorage.Tiered.collect",
      source: "Effect.zipRight(this.near.collect(names), exit)",
      mutated: "exit"
    }]
  },
  {
    what: "a soft collect that leaves what is near",
    mutations: [{
      within: "TieredCacheStorage.Tiered.collect",
      source: "Effect.zipRight(this.near.collect(names), exit)",
      mutated: "style?.soft ? exit : Effect.zipRight(this.near.collect(names), exit)"
    }]
  },
  {
    what: "a collect that is near before it is far",
    mutations: [
      {
        within: "TieredCacheStorage.Tiered.collect",
        source: "Effect.exit(this.far.collect(names, style, since?.far))",
        mutated: "Effect.exit(Effect.zipRight(this.near.collect(names), this.far.collect(names, style, since?.far)))"
      },
      {
        within: "TieredCacheStorage.Tiered.collect",
        source: "Effect.zipRight(this.near.collect(names), exit)",
        mutated: "exit"
      }
    ]
  },
  goesOnOverAll,
  {
    what: "what is stale near served without a look far",
    mutations: [{
      within: "TieredCacheStorage.isFresh",
      source: "!alwaysValidate && now < responseTime + lifetime - initialAge",
      mutated: "!alwaysValidate && now + responseTime + lifetime + initialAge > 0"
    }]
  },
  {
    what: "a collect that is not delivered later",
    mutations: [{ within: "collecting.collect", source: "deliverLater(access, storage)", mutated: "Effect.void" }]
  }
]

interface Suite {
  readonly name: string
  readonly broken: ReadonlyArray<Broken>
  /** Its test, and how that is told the seed and how many operations there are at most. */
  readonly test: string
  readonly seed: string
  readonly operations: string
  /** For each seed that is tried. What is rare takes a model up to minutes; it stops at the first answer that is too old. */
  readonly most: number
  /** Where nothing is broken: the test itself has more. */
  readonly whole: number
  /** Each is tried with all of these. */
  readonly ways: ReadonlyArray<{ readonly name: string; readonly env: { readonly [name: string]: string } }>
}

const suites: ReadonlyArray<Suite> = [
  {
    name: "model",
    broken: fences,
    test: "test/model.test.ts",
    seed: "MODEL_SEED",
    operations: "MODEL_OPERATIONS",
    most: 200_000,
    whole: 25_000,
    ways: ["at once", "after a yield"].map((storage) => ({
      name: `, a storage that answers ${storage}`,
      env: { MODEL_STORAGE: storage }
    }))
  },
  {
    name: "lane",
    broken: lanes,
    test: "test/model.test.ts",
    seed: "MODEL_SEED",
    operations: "MODEL_OPERATIONS",
    most: 200_000,
    whole: 25_000,
    ways: [{ name: "", env: { MODEL_STORAGE: "at once, through a lane" } }]
  },
  {
    name: "nodes",
    broken: tiers,
    test: "test/nodesModel.test.ts",
    seed: "NODES_SEED",
    operations: "NODES_OPERATIONS",
    most: 100_000,
    whole: 20_000,
    ways: [{ name: "", env: {} }]
  }
]

const { values: args } = parseArgs({ options: { seed: { type: "string" }, only: { type: "string" } } })
const seed = Number(args.seed ?? Math.floor(Math.random() * 2 ** 31))

interface Job {
  readonly suite: Suite
  readonly way: Suite["ways"][number]
  readonly what: string
  readonly files: ReadonlyArray<Mutated>
}

/** What the model's test says. */
const run = async (folder: string, { suite, way }: Job, operations: number, seed: number): Promise<string> => {
  const flags = ["--no-cache", "--configLoader=runner"]
  const limit = { [suite.operations]: String(operations) }
  const child = spawn(join(folder, "node_modules/.bin/vitest"), ["run", suite.test, ...flags], {
    cwd: folder,
    env: { ...process.env, ...way.env, ...limit, [suite.seed]: String(seed), NO_COLOR: "1", FORCE_COLOR: "0" }
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => output += data)
  await new Promise((resolve) => child.on("close", resolve))
  return output
}

/** Both cores of a small machine have something to do. */
const atOnce = 2
const each = async (jobs: ReadonlyArray<Job>, use: (job: Job) => Promise<void>): Promise<void> => {
  const left = [...jobs]
  const work = async () => {
    for (let job = left.shift(); job !== undefined; job = left.shift()) await use(job)
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

const chosen = suites.filter(({ name }) => name === (args.only ?? name))
// All are made before the first one is tried: a place that is not found ends the check at once.
const jobs = chosen.flatMap((suite) =>
  suite.broken.flatMap(({ mutations, what }) => {
    const files = mutateAll(mutations.map((mutation) => ({ ...mutation, what })))
    return suite.ways.map((way): Job => ({ suite, way, what, files }))
  })
)
console.log(`seed ${seed}`)
const foundIn = (output: string): string | undefined =>
  /(?:: shown \d+|is served near)\n.*seed \d+, world (\d+)/.exec(output)?.[1]

// What is found with nothing broken would be found in everything.
await each(
  chosen.flatMap((suite) => suite.ways.map((way) => ({ suite, way, what: "nothing broken", files: [] }))),
  async (job) => {
    const output = await run(checkout, job, job.suite.whole, seed)
    if (!/^ *Tests +1 passed/m.test(output)) throw new Error(`${job.what}${job.way.name}:\n${output}`)
  }
)
/** What is found once in some hundred worlds is missed by one seed in ten, and by so many in ten thousand. */
const mostSeeds = 4
let missed = 0
await each(jobs, async (job) => {
  const folder = await copy()
  try {
    for (const { after, file } of job.files) await writeFile(join(folder, file), after)
    const name = `${job.what}${job.way.name}`
    const outputs: Array<string> = []
    let found: string | undefined
    while (found === undefined && outputs.length < mostSeeds) {
      const output = await run(folder, job, job.suite.most, seed + outputs.length)
      outputs.push(output)
      found = foundIn(output)
    }
    if (found !== undefined) {
      return console.log(`${name}: found in world ${found}, seed ${outputs.length} of ${mostSeeds}`)
    }
    missed++
    console.log(`${name}: NOT FOUND\n${outputs.join("\n")}`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
console.log(`${jobs.length - missed} of ${jobs.length} found`)
process.exitCode = missed > 0 ? 1 : 0
