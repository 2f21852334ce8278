/** Compiles code that stands in documents, with the types of the source. */
import { fileURLToPath } from "node:url"
import ts from "typescript"

export const root = fileURLToPath(new URL("..", import.meta.url))

const configOf = (): ts.CompilerOptions => {
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, (path) => ts.sys.readFile(path))
  return { ...ts.parseJsonConfigFileContent(config, ts.sys, root).options, noUnusedLocals: false }
}

/** A program of files, and of sources that are in no file: by name, as if each were beside `package.json`. */
export const programOf = (
  files: ReadonlyArray<string>,
  snippets: ReadonlyMap<string, string> = new Map()
): ts.Program => {
  const sources = new Map(Array.from(snippets, ([name, code]) => [`${root}${name}`, code]))
  const options = configOf()
  const host = ts.createCompilerHost(options)
  const { fileExists, getSourceFile, readFile } = host
  host.fileExists = (path) => sources.has(path) || fileExists(path)
  host.readFile = (path) => sources.get(path) ?? readFile(path)
  host.getSourceFile = (path, version, ...rest) =>
    sources.has(path) ? ts.createSourceFile(path, sources.get(path)!, version) : getSourceFile(path, version, ...rest)
  return ts.createProgram([...files, ...sources.keys()], options, host)
}

/** What the compiler says of these snippets. */
export const problemsOf = (snippets: ReadonlyMap<string, string>): ReadonlyArray<string> =>
  ts.getPreEmitDiagnostics(programOf([], snippets)).map(({ file, messageText }) =>
    `${file?.fileName.slice(root.length)}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`
  )
