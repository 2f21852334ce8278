/** A copy of the checkout with something broken in it, to see that a test fails then. */
import { cp, mkdtemp, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import ts from "typescript"
import { checkout, find } from "./sources.js"

const copied = ["src", "test", "examples", "tsconfig.json", "vitest.config.ts", "package.json"]

export const copy = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "mutation-"))
  for (const name of copied) await cp(join(checkout, name), join(folder, name), { recursive: true })
  await symlink(join(checkout, "node_modules"), join(folder, "node_modules"))
  return folder
}

export interface Mutation {
  /** What the mutation is called where it is reported. */
  readonly what: string
  /** The function, or the method, that is broken: `Storability.decide`, `InMemoryCacheStorage.Fences.isCurrent`. */
  readonly within: string
  /** Stands exactly once in it. */
  readonly source: string
  readonly mutated: string
}

export interface Mutated {
  readonly file: string
  readonly before: string
  readonly after: string
}

/**
 * The text of the file with the mutation. Throws an `Error` that names the mutation and the file when what is to be broken
 * is not there exactly once, or when the result is no program.
 */
export const mutate = ({ mutated, source, what, within }: Mutation): Mutated => {
  const { file, from, text, to } = find(what, within)
  const count = text.slice(from, to).split(source).length - 1
  if (count !== 1) throw new Error(`${what}: ${within} in ${file} has ${count} times, not once: ${source}`)
  const at = text.indexOf(source, from)
  const after = text.slice(0, at) + mutated + text.slice(at + source.length)
  const { diagnostics = [] } = ts.transpileModule(after, { fileName: file, reportDiagnostics: true })
  if (diagnostics.length > 0) throw new Error(`${what}: ${within} in ${file} is no TypeScript with: ${mutated}`)
  return { file, before: text, after }
}
