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
import { readdir, readFile, rm, writeFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { parseArgs } from "node:util"
import ts from "typescript"
import { Dice } from "../test/simulation.js"
import { checkout, copy, mutate, type Mutation } from "./mutation.js"

/** What is negated stands within a function that the rule's row names. */
interface Negation extends Mutation {
  readonly rule: string
}

const negate = (file: string, list: ReadonlyArray<readonly [rule: string, source: string, negated: string]>) =>
  list.map(([rule, source, negated]): Negation => ({ rule, file, source, negated }))

const negations: ReadonlyArray<Negation> = [
  ...negate("src/protocol/Storability.ts", [
    ["3-method", "exchange.method !== \"GET\" && exchange.method !== \"QUERY\"", "false"],
    [
      "3-partial-status",
      "status === 206 && (extent === undefined || exchange.hasWhole || !hasStrongTag(exchange.response))",
      "false"
    ],
    ["3-final-status", "status < 200 || status > 599", "false"],
    ["3-not-modified-status", "if (status === 304)", "if (false)"],
    ["3-must-understand", "directives.mustUnderstand && !understood.has(status)", "false"],
    ["3-no-store", "directives.noStore && !directives.mustUnderstand", "false"],
    ["3-private", "directives.private === \"all\" || ", ""],
    ["3-authorization", "isAuthorized && !directives.permitsAuthorization", "false"],
    ["3-freshness", "if (lifetime === undefined)", "if (false)"],
    [
      "3.1-all-fields",
      "storedFields(exchange, directives, extent)",
      "Fields.from([[\"cache-control\", exchange.response[\"cache-control\"]!]])"
    ],
    ["3.5-authorization", "Fields.get(exchange.request, \"authorization\") !== undefined", "false"],
    ["4.2.2-explicit", ": stated ?? (policy.expiry === undefined", ": (policy.expiry === undefined"],
    ["4.2.4-prohibited", "!staleForbidden && ", ""],
    ["5.2.1.5-no-store", "if (exchange.requestNoStore)", "if (false)"],
    ["5.2.2.2-disconnected", "directives.mustRevalidate || ", ""],
    ["5.2.2.3-ignore-no-store", " && !directives.mustUnderstand", ""],
    ["5.2.2.4-no-cache", "alwaysValidate: directives.noCache === \"all\"", "alwaysValidate: false"],
    ["5.2.2.4-stale", " && directives.noCache !== \"all\"", ""],
    ["5.2.2.4-qualified", "...(typeof directives.noCache === \"object\" ? directives.noCache : []),", ""],
    ["5.2.2.5-no-store", "directives.noStore && !directives.mustUnderstand", "false"],
    [
      "5.2.2.7-qualified",
      "...(typeof directives.private === \"object\" && partition === \"\" ? directives.private : [])",
      ""
    ],
    ["5.2.2.8-proxy-revalidate", "directives.proxyRevalidate || ", ""],
    ["5.2.2.10-stale", "directives.proxyRevalidate || directives.sMaxAge !== undefined", "directives.proxyRevalidate"]
  ]),
  ...negate("src/protocol/Reuse.ts", [
    ["3.3-incomplete", "if (!request.isHeld)", "if (false)"],
    ["4-no-cache", "stored.alwaysValidate || ", ""],
    ["4-fresh", "ttl <= 0", "ttl < 0"],
    ["4.2.4-permitted", " && -ttl <= request.maxStale * 1000", ""],
    ["4.3.2-semantics", "if (request.forOrigin || request.noCache)", "if (request.noCache)"],
    ["5.2.2.2-must-revalidate", "!(isAccepted || isInWindow) || stored.staleForbidden", "!(isAccepted || isInWindow)"]
  ]),
  ...negate("src/protocol/Freshness.ts", [
    ["4.2.2-status", "!heuristicallyCacheable.has(status) && !directives.public", "false"],
    ["4.2.3-delay", " + Math.max(0, times.responseTime - times.requestTime)", ""],
    ["5.1-first", "?? \"\")[0])", "?? \"\").at(-1))"],
    ["5.2.2.1-max-age", "directives.sMaxAge ?? directives.maxAge", "directives.sMaxAge"],
    ["5.2.2.10-overrides", "directives.sMaxAge ?? directives.maxAge", "directives.maxAge ?? directives.sMaxAge"],
    ["5.3-invalid", "time === undefined ? 0 :", "time === undefined ? undefined :"],
    ["5.3-max-age", "if (stated !== undefined)", "if (stated !== undefined && !(\"expires\" in response))"],
    ["5.3-s-maxage", "if (stated !== undefined)", "if (stated !== undefined && !(\"expires\" in response))"]
  ]),
  ...negate("src/protocol/CacheControl.ts", [
    [
      "3.5-conforms",
      "nothing.\n  const says = (name: string) => directives.some((d) => d.name === name && d.valid &&",
      "nothing.\n  const says = (name: string) => directives.some((d) => d.name === name &&"
    ],
    [
      "4.2.1-conflict",
      "values.every((value) => value === values[0]) ? values[0] : 0",
      "values.length === 0 ? undefined : Math.max(...values)"
    ],
    ["5.1-invalid", "/^\\d+$/.test(text)", "Number(text) >= 0"],
    ["5.2-pass", "if (told.length === 0) return own", "if (told.length === 0) return undefined"],
    ["5.2.2-obey", "const name = match[1]!.toLowerCase()", "const name = match[1]!"],
    [
      "5.2.2.2-never-ignored",
      "mustRevalidate: has(directives, \"must-revalidate\")",
      "mustRevalidate: says(\"must-revalidate\")"
    ],
    ["5.2.2.7-private", "!names.every(Fields.isToken)) return \"all\"", "!names.every(Fields.isToken)) continue"],
    ["5.2.3-unknown", "directives.some((d) => d.name === name)", "directives.some((d) => d.name.includes(name))"]
  ]),
  ...negate("src/protocol/Validation.ts", [
    ["3.2-update", ", ...Object.entries(Fields.without(Fields.endToEnd(newer), kept))", ""],
    ["4.3.1-tags", "...(etag === undefined ? {} : { \"if-none-match\": etag }),", ""],
    ["4.3.1-modified", "...(lastModified === undefined ? {} : { \"if-modified-since\": lastModified })", ""],
    ["4.3.4-strong", "ours !== undefined && equals(ours, theirs)", "true"],
    ["4.3.5-matches", "value === undefined || value === Fields.get(stored, name)", "true"]
  ]),
  ...negate("src/protocol/Range.ts", [
    ["3.3-understood", "first <= last && last < size && said === (bytes ?? said)", "true"],
    ["3.4-same", "`bytes=${last + 1}-`, \"if-range\": etag", "`bytes=${last + 1}-`"],
    ["3.4-client", "if (!meets(stored, added))", "if (meets(stored, added))"]
  ]),
  ...negate("src/protocol/Preconditions.ts", [
    ["4.3.2-evaluate", "answer.status !== 200 && answer.status !== 206", "true"],
    ["4.3.2-origin-only", "if (options.isOrigin)", "if (true)"],
    [
      "4.3.2-precedence",
      "if (ifNoneMatch !== undefined)",
      "if (ifNoneMatch !== undefined && field(\"if-modified-since\") === undefined)"
    ],
    ["4.3.2-date", "current?.lastModified ?? current?.date", "current?.lastModified"]
  ]),
  ...negate("src/protocol/Vary.ts", [
    ["4-nominated", "value === undefined ? [name] : [name, canonical(name, value)]", "[name, \"\"]"],
    [
      "4.1-match",
      "[name, canonical(name, value)]",
      "[name, canonical(name, value.toLowerCase())]"
    ],
    ["4.1-absent", "const value = Fields.get(request, name)", "const value = Fields.get(request, name) ?? \"\""],
    ["4.1-star", "name !== \"*\" && ", ""]
  ]),
  ...negate("src/protocol/HttpDate.ts", [
    ["4.2-case", "imfFixdate.exec(text)", "new RegExp(imfFixdate, \"\").exec(text)"],
    ["4.2-gmt", "imfFixdate.exec(text)", "imfFixdate.exec(text.replace(/[A-Z]+$/, \"GMT\"))"],
    ["4.2-resolution", "Math.min(Number(second), 59)", "Number(second)"],
    ["4.2-zone", "midnight.setUTCFullYear(", "midnight.setFullYear("]
  ]),
  ...negate("src/protocol/Invalidation.ts", [
    ["4.4-unsafe", "const found = [target]", "const found: Array<CacheKey.Target> = []"],
    [
      "4.4-unknown",
      "safe.has(method.toUpperCase())",
      "![\"POST\", \"PUT\", \"PATCH\", \"DELETE\"].includes(method.toUpperCase())"
    ],
    ["4.4-error", " || status >= 400", ""],
    ["4.4-origin", ".filter(({ origin }) => origin === target.origin)", ""]
  ]),
  ...negate("src/protocol/Fields.ts", [
    ["3.1-proxy-fields", "[...hopByHop, ", "[...hopByHop.filter((name) => !name.startsWith(\"proxy-\")), "]
  ]),
  ...negate("src/protocol/CacheKey.ts", [
    ["4-uri", "`${escape(scheme)}://${escape(hostOf(origin))}` +", "\"\" +"]
  ]),
  ...negate("src/CacheStorage.ts", [
    ["4-most-recent", "item.date > best.date", "item.date < best.date"],
    ["4.1-valid-vary", "varies > 0", "varies < 0"]
  ]),
  ...negate("src/internal/passing.ts", [
    ["4-method", "!answered.has(view.method)", "false"],
    ["4-write-through", "!answered.has(view.method)", "false"]
  ]),
  ...negate("src/HttpCache.ts", [
    [
      "4-clock",
      "const now = yield* Clock.currentTimeMillis",
      "const now = 0 * (yield* Clock.currentTimeMillis)"
    ],
    ["5.2.1.7-only-if-cached", "if (asks.onlyIfCached)", "if (false)"]
  ]),
  ...negate("src/internal/asking.ts", [
    ["4.3.2-partial-tag", "if (item.range === undefined) return Validation", "if (true) return Validation"],
    ["4.3.2-own-200", "isAbout ? serverResponse.freshened(item, own)", "isAbout ? own"],
    [
      "4.3.3-full",
      "answer.status === item.status)) return answer",
      "answer.status === item.status)) return serverResponse.fromItem(item, 0)"
    ]
  ]),
  ...negate("src/internal/keeping.ts", [
    ["4.3.5-head", "head.status !== 200", "head.status === 200"],
    ["4.3.5-fields", "serverResponse.freshened(item, head)", "serverResponse.fromItem(item, 0)"]
  ]),
  ...negate("src/internal/filling.ts", [
    ["5.2.2.5-reuse", "Validation.supersedes(method, answer.status)", "false"]
  ]),
  ...negate("src/internal/serverResponse.ts", [
    ["3.3-marked", "status: 206, headers: { ...fields, ...range }", "status: 200, headers: { ...fields, ...range }"],
    ["4-age", "fields[\"age\"] = String(inSeconds(age))", "void age"],
    ["4.3.2-received", "fields[\"date\"] = HttpDate.format(now)", "void now"],
    [
      "4.3.4-update",
      "Validation.update(item.headers, newer.fields)",
      "Fields.from(Object.entries(item.headers))"
    ]
  ]),
  ...negate("src/internal/body.ts", [
    ["5.2.2.6-no-transform", "HttpBody.uint8Array(content, contentType)", "HttpBody.uint8Array(content.slice(1))"]
  ])
]

const sampled = 30
const workers = 2
/** Milliseconds; a test that takes longer is no failed assertion. */
const patience = 120_000
/** No table, no checkout: nothing can be said. */
const table = await readFile(join(checkout, "docs/rfc9111.md"), "utf8")

const { values: args } = parseArgs({ options: { seed: { type: "string" }, all: { type: "boolean" } } })
const seed = args.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(args.seed)

const problems: Array<string> = []
const problem = (text: string): void => {
  problems.push(text)
  console.error(text)
}

interface Row {
  readonly rule: string
  /** Such as `Storability.decide`. */
  readonly functions: ReadonlyArray<string>
  readonly test: { readonly file: string; readonly title: string } | undefined
}

const quoted = (cell: string): Array<string> =>
  Array.from(cell.matchAll(/(`+)(.+?)\1(?!`)/g), ([, , text]) => text!.trim())

const rowOf = (line: string): Row | undefined => {
  const [, rule, section, , functions, test, ...more] = line.split("|").map((cell) => cell.trim())
  if (rule === undefined || !section?.startsWith("§")) return undefined
  if (functions === undefined || test === undefined || more.length !== 1) {
    problem(`${rule}: the row does not have five columns`)
    return undefined
  }
  if (/not implemented/i.test(line)) problem(`${rule}: not implemented`)
  if (test.startsWith("no test yet")) return { rule, functions: quoted(functions), test: undefined }
  const [, file, title] = /^(test\/\S+\.ts): (.+)$/.exec(quoted(test)[0] ?? "") ?? []
  if (file === undefined || title === undefined) {
    problem(`${rule}: the last column names no test: ${test}`)
    return undefined
  }
  return { rule, functions: quoted(functions), test: { file, title } }
}

const rows = table.split("\n").flatMap((line) => rowOf(line) ?? [])
const rowsOf = new Map(rows.map((row) => [row.rule, row]))
if (rowsOf.size < rows.length) problem("docs/rfc9111.md: a rule has two rows")

// The functions

const sources = (await Promise.all(
  ["src", "src/internal", "src/protocol", "examples", "examples/reverse-proxy"].map(async (folder) => {
    const names = await readdir(join(checkout, folder))
    return names.filter((name) => name.endsWith(".ts")).map((name) => `${folder}/${name}`)
  })
)).flat()

interface Source {
  readonly text: string
  /** Where each function that is declared at the top stands. */
  readonly functions: ReadonlyMap<string, readonly [from: number, to: number]>
}

const readSource = async (file: string): Promise<Source> => {
  const text = await readFile(join(checkout, file), "utf8")
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022)
  const functions = new Map<string, readonly [number, number]>()
  for (const statement of tree.statements) {
    if (ts.isFunctionDeclaration(statement) && statement.name !== undefined) {
      functions.set(statement.name.text, [statement.pos, statement.end])
    }
    if (!ts.isVariableStatement(statement)) continue
    for (const { initializer, name } of statement.declarationList.declarations) {
      if (!ts.isIdentifier(name) || initializer === undefined) continue
      if (ts.isArrowFunction(initializer)) functions.set(name.text, [statement.pos, statement.end])
    }
  }
  return { text, functions }
}

const sourceOf = new Map(
  await Promise.all(sources.map(async (file) => [file, await readSource(file)] as const))
)

const fileOf = (name: string): string | undefined => sources.find((file) => basename(file, ".ts") === name)

for (const { functions, rule } of rows) {
  if (functions.length === 0) problem(`${rule}: the row names no function`)
  for (const named of functions) {
    const [name = "", member = ""] = named.split(".")
    const file = fileOf(name)
    if (file === undefined) problem(`${rule}: there is no source file for ${named}`)
    else if (!sourceOf.get(file)!.functions.has(member)) problem(`${rule}: ${file} has no function ${member}`)
  }
}

// The negations

interface Negated extends Negation {
  readonly text: string
  /** The function that is negated, such as `Storability.decide`. */
  readonly named: string
  readonly test: { readonly file: string; readonly title: string }
}

const negatedOf = (negation: Negation): Negated | undefined => {
  const { file, rule, source } = negation
  const row = rowsOf.get(rule)
  const { functions, text } = sourceOf.get(file) ??
    { functions: new Map<string, readonly [number, number]>(), text: "" }
  const fail = (why: string): undefined => problem(`${rule}: ${why}`) as undefined
  if (row?.test === undefined) return fail("it is negated, and has no row with a test")
  try {
    const mutated = mutate(text, negation)
    const named = row.functions.find((named) => {
      const [name = "", member = ""] = named.split(".")
      const [from, to] = functions.get(member) ?? [0, 0]
      return fileOf(name) === file && from <= mutated.at && mutated.at + source.length <= to
    })
    if (named === undefined) return fail(`what is negated is not in ${row.functions.join(", ")}: ${source}`)
    return { ...negation, text: mutated.text, named, test: row.test }
  } catch (error) {
    return fail(String(error))
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

// The tests

interface Result {
  readonly file: string
  readonly title: string
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

/** The tests with this title, or else those with the only title that begins so. */
const testsOf = (
  results: ReadonlyArray<Result>,
  { file, title }: { readonly file: string; readonly title: string }
): ReadonlyArray<Result> => {
  const own = results.filter((result) => result.file === file)
  const exact = own.filter((result) => result.title === title)
  if (exact.length > 0) return exact
  const begun = own.filter((result) => result.title.startsWith(title))
  return new Set(begun.map((result) => result.title)).size === 1 ? begun : []
}

const tests = rows.flatMap(({ rule, test }) => test === undefined ? [] : [{ rule, ...test }])
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
      const { file, named, rule, test, text } = negation
      const wanted = testsOf(results, test)
      const path = join(folder, file)
      await writeFile(path, text)
      const names = wanted.map(({ fullName }) => `^\\s*${escape(fullName)}$`).join("|")
      const after = await run(folder, [test.file], names)
      await writeFile(path, sourceOf.get(file)!.text)
      const { title } = wanted[0]!
      const failed = testsOf(after.results, { file: test.file, title }).filter(({ status }) => status === "failed")
      const failures = failed.flatMap((result) => result.failures)
      if (failures.some((failure) => failure.includes("AssertionError"))) {
        caught++
        console.log(`${rule}: ${named} negated, "${title}" fails`)
      } else if (failures.length > 0) {
        problem(`${rule}: ${named} negated, "${title}" fails, but by no assertion: ${failures[0]}`)
      } else if (after.results.length === 0) {
        problem(`${rule}: ${named} negated, and no test ran:\n${after.output}`)
      } else problem(`${rule}: ${named} negated, and "${title}" still passes`)
    }
  }
  await Promise.all(folders.map(work))
} finally {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })))
}

console.log(
  `${rows.length} rules, ${tests.length} with a test; ${caught} of ${chosen.length} negations (of ${all.length}) made ` +
    `their test fail; ${problems.length} problems.`
)
process.exitCode = problems.length > 0 ? 1 : 0
