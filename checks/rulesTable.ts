/** The rows of docs/rfc9111.md, and whether what they name is in the source and among the tests. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { checkout, find } from "./sources.js"

/** A test by the file and the beginning of its title. */
export interface Named {
  readonly file: string
  readonly title: string
}

export interface Row {
  readonly rule: string
  /** Such as `Storability.decide`. */
  readonly functions: ReadonlyArray<string>
  readonly test: Named | undefined
}

export type Problem = (text: string) => void

const quoted = (cell: string): Array<string> =>
  Array.from(cell.matchAll(/(`+)(.+?)\1(?!`)/g), ([, , text]) => text!.trim())

const rowOf = (line: string, problem: Problem): Row | undefined => {
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

const checkFunctions = ({ functions, rule }: Row, problem: Problem): void => {
  if (functions.length === 0) problem(`${rule}: the row names no function`)
  for (const named of functions) {
    try {
      const { file, isFunction } = find(rule, named)
      if (!isFunction) problem(`${rule}: ${named} in ${file} is no function`)
    } catch (error) {
      problem(String(error))
    }
  }
}

/** By rule, in the order of the table. */
export const readRows = (problem: Problem): ReadonlyMap<string, Row> => {
  const table = readFileSync(join(checkout, "docs/rfc9111.md"), "utf8")
  const rows = table.split("\n").flatMap((line) => rowOf(line, problem) ?? [])
  for (const row of rows) checkFunctions(row, problem)
  const byRule = new Map(rows.map((row) => [row.rule, row]))
  if (byRule.size < rows.length) problem("docs/rfc9111.md: a rule has two rows")
  return byRule
}

/** The tests with this title, or else those with the only title that begins so. */
export const testsOf = <Result extends Named>(results: ReadonlyArray<Result>, { file, title }: Named) => {
  const own = results.filter((result) => result.file === file)
  const exact = own.filter((result) => result.title === title)
  if (exact.length > 0) return exact
  const begun = own.filter((result) => result.title.startsWith(title))
  return new Set(begun.map((result) => result.title)).size === 1 ? begun : []
}
