/** The modules of `src` and `examples` by name, and where in each its functions, constants and methods stand. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

export const checkout = fileURLToPath(new URL("..", import.meta.url))

interface Declared {
  readonly from: number
  readonly to: number
  readonly isFunction: boolean
}

interface Module {
  readonly file: string
  readonly text: string
  readonly declared: ReadonlyMap<string, Declared>
}

/** What is declared at the top: `name`, or `Class.member`. Overloads are one declaration. */
const declarationsOf = (tree: ts.SourceFile): ReadonlyMap<string, Declared> => {
  const declared = new Map<string, Declared>()
  const add = (name: ts.Node | undefined, { end, pos }: ts.Node, isFunction: boolean, of = ""): void => {
    if (name === undefined || !ts.isIdentifier(name)) return
    const from = declared.get(of + name.text)?.from ?? pos
    declared.set(of + name.text, { from, to: end, isFunction })
  }
  for (const statement of tree.statements) {
    if (ts.isFunctionDeclaration(statement)) add(statement.name, statement, true)
    if (ts.isClassDeclaration(statement)) {
      for (const member of statement.members) {
        add(member.name, member, ts.isMethodDeclaration(member), `${statement.name?.text}.`)
      }
    }
    if (!ts.isVariableStatement(statement)) continue
    for (const { initializer, name } of statement.declarationList.declarations) {
      add(name, statement, initializer !== undefined && ts.isArrowFunction(initializer))
    }
  }
  return declared
}

const read = (file: string): Module => {
  const text = readFileSync(join(checkout, file), "utf8")
  return { file, text, declared: declarationsOf(ts.createSourceFile(file, text, ts.ScriptTarget.ES2022)) }
}

const modules = ["src", "examples"].flatMap((folder) =>
  readdirSync(join(checkout, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => read(`${folder}/${path.replaceAll("\\", "/")}`))
)

/**
 * What `module.name` or `module.Class.member` names, in whichever folder the module is; of two modules with one name,
 * `folder/module.name` is one. Throws an `Error` that begins with `what` where no module has that name, or two have it, or
 * the module does not declare it.
 */
export const find = (what: string, named: string): Omit<Module, "declared"> & Declared => {
  const [module = "", ...name] = named.split(".")
  const found = modules.filter(({ file }) => file.endsWith(`/${module}.ts`))
  if (found.length !== 1) {
    const files = found.map(({ file }) => file).join(", ")
    throw new Error(`${what}: ${found.length} files, not one, are the ${module}.ts of ${named}: ${files}`)
  }
  const { declared, file, text } = found[0]!
  const place = declared.get(name.join("."))
  if (place === undefined) throw new Error(`${what}: ${file} does not declare ${name.join(".")}`)
  return { file, text, ...place }
}
