/** Rewrites one file of Effect 3 into one of Effect 4: by the tables what is a renaming, and by its shape what is not. */
import ts from "typescript"
import { notRun } from "./package.js"
import { type Edit, editsOfShape } from "./shapes.js"
import { type Lookup, members, modules, names, passages, placesOfNames } from "./tables.js"

export interface Rewritten {
  readonly text: string
  /** The lines of the source that differ, from 0, and whether they import something. */
  readonly lines: ReadonlyMap<number, "import" | "code">
}

/** Entries of the tables that were used: one that never is, is wrong. */
const used = new Set<string>()

const look = (table: Lookup, key: string): string | undefined => {
  if (!Object.hasOwn(table, key)) return undefined
  used.add(key)
  return table[key]
}

export const unused = (): ReadonlyArray<string> =>
  [
    ...[modules, names, placesOfNames, members].flatMap(Object.keys),
    ...passages.map(({ from }) => from),
    ...notRun.map(({ title }) => title)
  ].filter((key) => !used.has(key))

const isBarrel = (specifier: string): boolean => specifier === "effect" || specifier === "@effect/platform"

/** A line for each module that the names of an import come from. */
const importOf = (declaration: ts.ImportDeclaration, specifier: string): string => {
  const { isTypeOnly, namedBindings } = declaration.importClause!
  const keyword = isTypeOnly ? "import type" : "import"
  const target = look(modules, specifier) ?? specifier
  const module = specifier.split("/").at(-1)!
  if (namedBindings === undefined || !ts.isNamedImports(namedBindings)) {
    const { text } = namedBindings!.name
    return `${keyword} * as ${look(names, text) ?? text} from "${target}"`
  }
  const lists = new Map<string, Set<string>>()
  for (const { isTypeOnly, name, propertyName } of namedBindings.elements) {
    const { text } = propertyName ?? name
    const from = isBarrel(specifier) ? look(placesOfNames, text) ?? target : target
    const renamed = isBarrel(specifier) ? look(names, text) : look(members, `${module}.${text}`)
    const local = propertyName === undefined ? "" : ` as ${name.text}`
    const list = lists.get(from) ?? new Set()
    lists.set(from, list.add(`${isTypeOnly ? "type " : ""}${renamed ?? text}${local}`))
  }
  return [...lists].map(([from, list]) => `${keyword} { ${[...list].join(", ")} } from "${from}"`).join("\n")
}

/** What the names are that a file has from Effect: modules by their local names. */
const modulesIn = (source: ts.SourceFile): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const { bindings, specifier } of importsOf(source)) {
    if (ts.isNamespaceImport(bindings)) found.set(bindings.name.text, specifier.split("/").at(-1)!)
    else for (const { name, propertyName } of bindings.elements) found.set(name.text, (propertyName ?? name).text)
  }
  return found
}

function* importsOf(source: ts.SourceFile) {
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) || statement.importClause?.namedBindings === undefined) continue
    const specifier = (statement.moduleSpecifier as ts.StringLiteral).text
    if (!/^@?effect(\/|$)/.test(specifier)) continue
    yield { statement, specifier, bindings: statement.importClause.namedBindings }
  }
}

const editsOf = (source: ts.SourceFile): ReadonlyArray<Edit> => {
  const edits: Array<Edit> = []
  const replace = (node: ts.Node, text: string) => {
    if (node.getText(source) !== text) edits.push({ start: node.getStart(source), end: node.end, text })
  }
  const known = modulesIn(source)
  for (const { specifier, statement } of importsOf(source)) replace(statement, importOf(statement, specifier))

  /** `Module.member`, as a value or as a type. */
  const member = (left: ts.Node, right: ts.Identifier | ts.MemberName) => {
    const module = ts.isIdentifier(left) ? known.get(left.text) : undefined
    const anyone = look(members, `*.${right.text}`)
    if (anyone !== undefined) return replace(right, anyone)
    if (module === undefined) return
    const [first, second] = (look(members, `${module}.${right.text}`) ?? right.text).split(".")
    replace(left, second === undefined ? look(names, left.getText(source)) ?? left.getText(source) : first!)
    replace(right, second ?? first!)
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) return
    if (ts.isPropertyAccessExpression(node)) member(node.expression, node.name)
    if (ts.isQualifiedName(node)) member(node.left, node.right)
    // A function without arguments that is a constant.
    if (ts.isCallExpression(node) && look(members, `${node.expression.getText(source)}()`) !== undefined) {
      edits.push({ start: node.expression.end, end: node.end, text: "" })
    }
    edits.push(...editsOfShape(node, source))
    ts.forEachChild(node, visit)
  }
  visit(source)
  return edits
}

const applied = (text: string, edits: ReadonlyArray<Edit>): string =>
  [...edits].sort((a, b) => b.start - a.start || b.end - a.end)
    .reduce((text, { end, start, text: put }) => text.slice(0, start) + put + text.slice(end), text)

const parsed = (file: string, text: string) => ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true)

/** The examples of comments, with what stands before each of their lines. */
const examples = /^([ ]*(?:\* )?)```ts\n([\s\S]*?)^\1```$/gm

const inExamples = (text: string): string =>
  text.replace(examples, (_, before: string, block: string) => {
    const lines = block.split("\n").map((line) => line.startsWith(before) ? line.slice(before.length) : "")
    const code = lines.join("\n")
    const rewritten = applied(code, editsOf(parsed("example.ts", code))).split("\n")
    const prefixed = rewritten.map((line, index) =>
      index === rewritten.length - 1 ? line : `${before}${line}`.replace(/ +$/, "")
    )
    return `${before}\`\`\`ts\n${prefixed.join("\n")}${before}\`\`\``
  })

const inPassages = (file: string, text: string): string =>
  passages.filter((passage) => passage.file === file).reduce((text, { from, to }) => {
    if (text.split(from).length !== 2) throw new Error(`${file}: this passage does not stand there once:\n${from}`)
    used.add(from)
    return text.replace(from, () => to)
  }, text)

/** A test that is not run is skipped, so that it is counted. */
const withoutNotRun = (file: string, text: string): string =>
  notRun.filter((test) => test.file === file).reduce((text, { title }) => {
    const at = text.indexOf(`("${title}`)
    if (at === -1) throw new Error(`${file}: there is no test ${title}`)
    used.add(title)
    return `${text.slice(0, at)}.skip${text.slice(at)}`
  }, text)

export const rewrite = (file: string, given: string): Rewritten => {
  if (!file.endsWith(".ts")) return { text: inPassages(file, given), lines: new Map() }
  const passed = withoutNotRun(file, inPassages(file, given))
  const source = parsed(file, passed)
  const edits = editsOf(source)
  const lines = new Map<number, "import" | "code">()
  for (const { end, start } of edits) {
    const isImport = [...importsOf(source)].some(({ statement }) => start >= statement.pos && end <= statement.end)
    const [first, last] = [start, end].map((at) => source.getLineAndCharacterOfPosition(at).line) as [number, number]
    for (let line = first; line <= last; line++) lines.set(line, isImport ? "import" : "code")
  }
  given.split("\n").forEach((line, index) => {
    if (passed !== given && passages.some(({ file: of, from }) => of === file && from.split("\n").includes(line))) {
      lines.set(index, "code")
    }
  })
  return { text: inExamples(applied(passed, edits)), lines }
}
