/** A copy of the checkout with something broken in it, to see that a test fails then. */
import { cp, mkdtemp, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

export const checkout = fileURLToPath(new URL("..", import.meta.url))

const copied = ["src", "test", "examples", "tsconfig.json", "vitest.config.ts", "package.json"]

export const copy = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "mutation-"))
  for (const name of copied) await cp(join(checkout, name), join(folder, name), { recursive: true })
  await symlink(join(checkout, "node_modules"), join(folder, "node_modules"))
  return folder
}

export interface Mutation {
  readonly file: string
  /** Stands exactly once in the file. */
  readonly source: string
  readonly negated: string
}

/** The file's text with the mutation, and where; throws an `Error` when there is no such place, or no such program. */
export const mutate = (
  text: string,
  { file, negated, source }: Mutation
): { readonly at: number; readonly text: string } => {
  const at = text.indexOf(source)
  if (at === -1 || text.includes(source, at + 1)) throw new Error(`${file} does not have exactly once: ${source}`)
  const mutated = text.slice(0, at) + negated + text.slice(at + source.length)
  const { diagnostics = [] } = ts.transpileModule(mutated, { fileName: file, reportDiagnostics: true })
  if (diagnostics.length > 0) throw new Error(`${file} is no TypeScript with: ${negated}`)
  return { at, text: mutated }
}
