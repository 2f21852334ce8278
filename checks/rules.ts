/**
 * Holds docs/rfc9111.md against the source: each function and each test that it names is there, and a rule that is
 * negated in the source makes its test fail. Thirty rules, of a seed; `--all` takes every one.
 *
 *     npx tsx checks/rules.ts [--seed NUMBER] [--all]
 *
 * What is negated is a copy of the checkout. The exit code is 1 when the table is wrong, a test fails without a negation,
 * or a test passes with one.
 */
import { spawn } from "node:child_process"
import { readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Dice } from "../test/simulation.js"
import { copy, mutate, type Mutated, type Mutation } from "./mutation.js"
import { negations } from "./negations.js"
import { type Named, readRows, testsOf } from "./rulesTable.js"

const sampled = 30
const workers = 2
/** Milliseconds; a test that takes longer is no failed assertion. */
const patience = 120_000

const { values: args } = parseArgs({ options: { seed: { type: "string" }, all: { type: "boolean" } } })
const seed = args.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(args.seed)

const problems: Array<string> = []
const problem = (text: string): void => {
  problems.push(text)
  console.error(text)
}

const rows = readRows(problem)
const tests = [...rows.values()].flatMap(({ rule, test }) => test === undefined ? [] : [{ rule, ...test }])

interface Negated extends Mutated {
  readonly rule: string
  /** The function that is negated, such as `Storability.decide`. */
  readonly within: string
  readonly test: Named
}

const negatedOf = (negation: Mutation): Negated | undefined => {
  const { what: rule, within } = negation
  const row = rows.get(rule)
  const fail = (why: string): undefined => problem(`${rule}: ${why}`) as undefined
  if (row?.test === undefined) return fail("it is negated, and has no row with a test")
  if (!row.functions.includes(within)) {
    return fail(`${within} is negated, and the row names ${row.functions.join(", ")}`)
  }
  try {
    return { ...mutate(negation), rule, within, test: row.test }
  } catch (error) {
    return problem(String(error)) as undefined
  }
}

const all = negations.flatMap((negation) => negatedOf(negation) ?? [])

const sample = (from: ReadonlyArray<Negated>): ReadonlyArray<Negated> => {
  const dice = new Dice(seed)
  const rest = [...from]
  const taken: Array<Negated> = []
  while (taken.length < sampled && rest.length > 0) taken.push(...rest.splice(dice.below(rest.length), 1))
  return taken
}

interface Result extends Named {
  readonly fullName: string
  readonly status: string
  readonly failures: ReadonlyArray<string>
}

const escape = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")

/** What the tests of the files whose full names match the pattern do in the folder; the others are skipped. */
const run = async (
  folder: string,
  files: ReadonlyArray<string>,
  pattern: string
): Promise<{ readonly results: ReadonlyArray<Result>; readonly output: string }> => {
  const report = join(folder, "report.json")
  await rm(report, { force: true })
  const flags = ["--reporter=json", `--outputFile=${report}`, "--no-cache", "--configLoader=runner"]
  const child = spawn(join(folder, "node_modules/.bin/vitest"), ["run", ...files, "-t", pattern, ...flags], {
    cwd: folder,
    // A zone other than UTC: a rule is about it.
    env: { ...process.env, TZ: "America/New_York", NO_COLOR: "1", FORCE_COLOR: "0" },
    timeout: patience
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => output += data)
  await new Promise((resolve) => child.on("close", resolve))
  const text = await readFile(report, "utf8").catch(() => "{ \"testResults\": [] }")
  const { testResults } = JSON.parse(text) as {
    readonly testResults: ReadonlyArray<{
      readonly name: string
      readonly assertionResults: ReadonlyArray<
        Omit<Result, "file" | "failures"> & { readonly failureMessages: ReadonlyArray<string> }
      >
    }>
  }
  const results = testResults.flatMap(({ assertionResults, name }) => {
    const file = files.find((file) => name.endsWith(`/${file}`)) ?? name
    return assertionResults.map(({ failureMessages, fullName, status, title }) => ({
      file,
      title,
      fullName,
      status,
      failures: failureMessages
    }))
  })
  return { results, output }
}

/** Whether the test fails by an assertion with the rule negated; everything else is a problem. */
const isCaught = async (folder: string, negation: Negated, unbroken: ReadonlyArray<Result>): Promise<boolean> => {
  const { after, before, file, rule, test, within } = negation
  const wanted = testsOf(unbroken, test)
  const path = join(folder, file)
  await writeFile(path, after)
  const names = wanted.map(({ fullName }) => `^\\s*${escape(fullName)}$`).join("|")
  const { output, results } = await run(folder, [test.file], names)
  await writeFile(path, before)
  const { title } = wanted[0]!
  const failed = testsOf(results, { file: test.file, title }).filter(({ status }) => status === "failed")
  const failures = failed.flatMap((result) => result.failures)
  const negated = `${rule}: ${within} negated`
  if (failures.some((failure) => failure.includes("AssertionError"))) {
    console.log(`${negated}, "${title}" fails`)
    return true
  }
  if (failures.length > 0) problem(`${negated}, "${title}" fails, but by no assertion: ${failures[0]}`)
  else if (results.length === 0) problem(`${negated}, and no test ran:\n${output}`)
  else problem(`${negated}, and "${title}" still passes`)
  return false
}

const folders = await Promise.all(Array.from({ length: workers }, () => copy()))
let caught = 0
let chosen: ReadonlyArray<Negated> = []

try {
  const files = [...new Set(tests.map(({ file }) => file))].sort()
  const { output, results } = await run(folders[0]!, files, tests.map(({ title }) => escape(title)).join("|"))
  if (results.length === 0) problem(`no test ran:\n${output}`)
  for (const { rule, ...test } of results.length === 0 ? [] : tests) {
    const found = testsOf(results, test)
    if (found.length === 0) problem(`${rule}: ${test.file} has no one test that begins: ${test.title}`)
    const failed = found.find(({ status }) => status !== "passed")
    if (failed !== undefined) problem(`${rule}: "${failed.title}" fails with nothing negated`)
  }

  chosen = problems.length > 0 ? [] : args.all === true ? all : sample(all)
  if (chosen.length > 0) console.log(args.all === true ? "every negation" : `seed ${seed}`)
  const queue = [...chosen]
  const work = async (folder: string): Promise<void> => {
    for (let negation = queue.shift(); negation !== undefined; negation = queue.shift()) {
      if (await isCaught(folder, negation, results)) caught++
    }
  }
  await Promise.all(folders.map(work))
} finally {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })))
}

console.log(
  `${rows.size} rules, ${tests.length} with a test; ${caught} of ${chosen.length} negations (of ${all.length}) made ` +
    `their test fail; ${problems.length} problems.`
)
process.exitCode = problems.length > 0 ? 1 : 0
