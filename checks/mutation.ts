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

/** Where the mutation changes its file. Throws an `Error` where what is to be broken is not there exactly once. */
const editOf = ({ mutated, source, what, within }: Mutation) => {
  const { file, from, text, to } = find(what, within)
  const count = text.slice(from, to).split(source).length - 1
  if (count !== 1) throw new Error(`${what}: ${within} in ${file} has ${count} times, not once: ${source}`)
  return { file, text, at: text.indexOf(source, from), source, mutated }
}

/**
 * The text of each file with the mutations that are of it. Throws an `Error` that names the mutation and the file when what
 * is to be broken is not there exactly once, or when the result is no program.
 */
export const mutateAll = (mutations: ReadonlyArray<Mutation>): ReadonlyArray<Mutated> => {
  const edits = mutations.map(editOf)
  return [...new Set(edits.map(({ file }) => file))].map((file) => {
    const own = edits.filter((edit) => edit.file === file)
    const before = own[0]!.text
    const after = [...own].sort((one, other) => other.at - one.at).reduce(
      (text, { at, mutated, source }) => text.slice(0, at) + mutated + text.slice(at + source.length),
      before
    )
    const { diagnostics = [] } = ts.transpileModule(after, { fileName: file, reportDiagnostics: true })
    if (diagnostics.length > 0) {
      const told = own.map(({ mutated }) => mutated).join("; ")
      throw new Error(`${mutations[0]!.what}: ${file} is no TypeScript with: ${told}`)
    }
    return { file, before, after }
  })
}

export const mutate = (mutation: Mutation): Mutated => mutateAll([mutation])[0]!
