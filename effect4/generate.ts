/**
 * Makes `effect4/generated`, the library for Effect 4, from what is in this repository for Effect 3: by the tables, and then
 * with the twins in the place of the files of the same path. It is installed and type-checked, and what differs is printed.
 */
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { carried, leftOut, manifestOf, notRun } from "./package.js"
import { rewrite, unused } from "./rewrite.js"

const root = fileURLToPath(new URL("../", import.meta.url))
const twins = join(root, "effect4/twins")
const generated = join(root, "effect4/generated")
const lock = join(root, "effect4/package-lock.json")

/** A file that has other lines in Effect 4, and how many. */
interface Differing {
  readonly file: string
  readonly imports: number
  readonly others: number
}

const filesIn = (path: string): ReadonlyArray<string> =>
  statSync(path).isFile()
    ? [path]
    : readdirSync(path).filter((name) => name !== "node_modules").flatMap((name) => filesIn(join(path, name)))

const isTwin = (file: string): boolean => existsSync(join(twins, file))

/** What only Effect 4 has is tested by files of its own. */
const isOwn = (file: string): boolean => file.startsWith("test/effect4/")

const write = (file: string, text: string): void => {
  mkdirSync(dirname(join(generated, file)), { recursive: true })
  writeFileSync(join(generated, file), text)
}

/** What was generated before is removed, and what was installed stays. */
const clear = (): void => {
  mkdirSync(generated, { recursive: true })
  for (const name of readdirSync(generated)) {
    if (name !== "node_modules") rmSync(join(generated, name), { recursive: true })
  }
}

const generate = (): ReadonlyArray<Differing> => {
  const differing: Array<Differing> = []
  for (const path of carried.flatMap((path) => filesIn(join(root, path)))) {
    const file = relative(root, path)
    if (Object.hasOwn(leftOut, file) || isTwin(file)) continue
    const { lines, text } = rewrite(file, readFileSync(path, "utf8"))
    write(file, text)
    const imports = [...lines.values()].filter((kind) => kind === "import").length
    if (lines.size > 0) differing.push({ file, imports, others: lines.size - imports })
  }
  for (const path of filesIn(twins)) write(relative(twins, path), readFileSync(path, "utf8"))
  write("package.json", manifestOf(readFileSync(join(root, "package.json"), "utf8")))
  return differing
}

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((sum, one) => sum + one, 0)

const print = (differing: ReadonlyArray<Differing>): void => {
  for (const { file, imports, others } of differing) console.log(`${file}: ${imports} lines import, ${others} others`)
  for (const path of filesIn(twins)) {
    console.log(`${relative(twins, path)}: ${isOwn(relative(twins, path)) ? "of its own" : "a twin stands in for it"}`)
  }
  for (const [file, reason] of Object.entries(leftOut)) console.log(`${file}: left out, since ${reason}`)
  for (const { file, reason, title } of notRun) console.log(`${file}: "${title}…" is not run, since ${reason}`)
  for (const folder of ["src/", ""]) {
    const of = differing.filter(({ file }) => file.startsWith(folder))
    const [imports, others] = [sum(of.map(({ imports }) => imports)), sum(of.map(({ others }) => others))]
    console.log(
      `${folder || "in all"}: ${of.length} files differ, in ${imports} lines that import and ${others} others`
    )
  }
}

/** What must hold of the tables. */
const check = (differing: ReadonlyArray<Differing>): void => {
  const wrong = differing.filter(({ file, others }) => others > 0 && /^src\/(protocol|engine)\//.test(file))
  if (wrong.length > 0) throw new Error(`more than imports differ in ${wrong.map(({ file }) => file).join(", ")}`)
  const idle = [
    ...unused(),
    ...Object.keys(leftOut).filter((file) => !existsSync(join(root, file))),
    ...filesIn(twins).map((path) => relative(twins, path)).filter((file) =>
      !isOwn(file) && !existsSync(join(root, file))
    )
  ]
  if (idle.length > 0) throw new Error(`these match nothing: ${idle.join(", ")}`)
}

/** What is carried is what is compiled, but the tests: they are run, unless they are about types. */
const configure = (): void => {
  const config = readFileSync(join(root, "tsconfig.json"), "utf8")
  write(
    "tsconfig.json",
    config.replace(
      /"include": \[.*\]/,
      "\"include\": [\"src\", \"examples\", \"bench\", \"checks\", \"test/*.test-d.ts\"]"
    )
  )
}

const run = (command: string, ...options: ReadonlyArray<string>): void => {
  const { status } = spawnSync(command, options, { cwd: generated, stdio: "inherit" })
  if (status !== 0) throw new Error(`${command} ${options.join(" ")} failed`)
}

/** By the lock, which is written where there is none. What is installed stays until the lock changes. */
const install = (): void => {
  const installed = join(generated, "node_modules/.package-lock.json")
  const hasLock = existsSync(lock)
  if (hasLock) cpSync(lock, join(generated, "package-lock.json"))
  if (hasLock && existsSync(installed) && statSync(installed).mtimeMs > statSync(lock).mtimeMs) return
  const options = ["--no-fund", "--no-audit", "--loglevel=error", "--omit-lockfile-registry-resolved"]
  run("npm", hasLock ? "ci" : "install", ...options)
  if (!hasLock) cpSync(join(generated, "package-lock.json"), lock)
}

clear()
const differing = generate()
print(differing)
check(differing)
configure()
install()
run(join(root, "node_modules/.bin/tsc"), "-p", "tsconfig.json")
