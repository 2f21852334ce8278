/** What is public has a docstring that says enough, and the code in it compiles. */
import { describe, expect, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import ts from "typescript"
import { problemsOf, programOf, root } from "./compiling.js"

const files = readdirSync(`${root}src`, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"))

/** By where it stands: the code after each `@example` of a file's docstrings. */
const examplesOf = (file: string): ReadonlyArray<readonly [name: string, code: string]> =>
  [...readFileSync(`${root}src/${file}`, "utf8").matchAll(/^ *\/\*\*[\s\S]*?\*\//gm)].flatMap(([docstring]) =>
    docstring.replace(/^ *\* ?/gm, "").split(/^@example$/m).slice(1).map((example) =>
      /^\s*```ts\n([\s\S]*?)^```$/m.exec(example)?.[1] ?? "no code"
    )
  ).map((code, index) => [`example-${index}-of-${file.replace(/\W/g, "-")}.ts`, code])

/** All that a program can import, by the name that it has there; of a namespace what is in it. */
const exportsOf = (checker: ts.TypeChecker, module: ts.Symbol, prefix = ""): ReadonlyArray<[string, ts.Symbol]> =>
  checker.getExportsOfModule(module).flatMap((exported): ReadonlyArray<[string, ts.Symbol]> => {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
    return symbol.flags & ts.SymbolFlags.ValueModule
      ? exportsOf(checker, symbol, `${prefix}${exported.name}.`)
      : [[`${prefix}${exported.name}`, symbol]]
  })

interface Documented {
  readonly name: string
  readonly tags: ReadonlyArray<string>
  readonly sentence: string
  /** A function or a class, and no constant such as a layer. */
  readonly isCalled: boolean
}

const documented = (): ReadonlyArray<Documented> => {
  const entries = ["index.ts", "testing.ts"].map((file) => `${root}src/${file}`)
  const program = programOf(entries)
  const checker = program.getTypeChecker()
  const modules = entries.map((entry) => checker.getSymbolAtLocation(program.getSourceFile(entry)!)!)
  return modules.flatMap((module) => exportsOf(checker, module)).flatMap(([name, symbol]) =>
    symbol.declarations!.map((declaration) => {
      const type = checker.getTypeAtLocation(declaration)
      const isFunction = ts.isVariableDeclaration(declaration) && type.getCallSignatures().length > 0
      const isEffect = ts.isVariableDeclaration(declaration) && checker.typeToString(type).startsWith("Effect<")
      const docs = ts.getJSDocCommentsAndTags(declaration)
      return {
        name: `${name} (${ts.SyntaxKind[declaration.kind]})`,
        tags: ts.getJSDocTags(declaration).map(({ tagName }) => tagName.text),
        sentence: docs.map((doc) => ts.isJSDoc(doc) ? ts.getTextOfJSDocComment(doc.comment) ?? "" : "").join("").trim(),
        isCalled: ts.isClassDeclaration(declaration) || isFunction || isEffect
      }
    })
  )
}

describe("docstrings", () => {
  const all = documented()

  it("have examples that compile", () => {
    const examples = new Map(files.flatMap(examplesOf))
    expect(examples.size).toBeGreaterThan(30)
    expect(problemsOf(examples)).toEqual([])
  })

  it("say of everything public what it is, since when it is there and what kind of thing it is", () => {
    expect(all.map(({ name }) => name)).toEqual(expect.arrayContaining([
      "HttpCache.withPreconditions (VariableDeclaration)",
      "CacheItem.CacheItem (InterfaceDeclaration)",
      "withCache (VariableDeclaration)",
      "laws (VariableDeclaration)"
    ]))
    const lacking = all.filter(({ sentence, tags }) =>
      sentence === "" || !tags.includes("since") || !tags.includes("category")
    )
    expect(lacking.map(({ name }) => name)).toEqual([])
  })

  it("show by an example how each public function, constructor and effect is used", () => {
    const called = all.filter(({ isCalled }) => isCalled)
    expect(called.length).toBeGreaterThan(30)
    expect(called.filter(({ tags }) => !tags.includes("example")).map(({ name }) => name)).toEqual([])
  })
})
