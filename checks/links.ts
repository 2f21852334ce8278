/** The relative links of a package's documents lead to something in the package: `tsx checks/links.ts <directory>`. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"

const root = resolve(process.argv[2] ?? ".")

/** Without code, in which brackets mean something else. */
const prose = (markdown: string): string =>
  markdown.replace(/^(```|~~~)[\s\S]*?^\1/gm, "").replace(/`[^`\n]*`/g, "code")

const linksOf = (markdown: string): ReadonlyArray<string> =>
  [/\]\(\s*<?([^)>\s]+)/g, /^ {0,3}\[[^\]]+\]:\s*<?([^>\s]+)/gm, /\b(?:href|src)="([^"]+)"/g].flatMap((pattern) =>
    [...prose(markdown).matchAll(pattern)].map(([, link]) => link!)
  )

/** As GitHub and npm make an anchor of a heading. */
const anchorsOf = (markdown: string): ReadonlyArray<string> =>
  [...markdown.replace(/^(```|~~~)[\s\S]*?^\1/gm, "").matchAll(/^#+ +(.*?) *$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-")
  )

const leads = (document: string, link: string): boolean => {
  if (/^([a-z][a-z0-9+.-]*:|\/\/)/i.test(link)) return true
  const [path, anchor] = link.split("#", 2)
  const target = path === "" ? document : join(dirname(document), decodeURIComponent(path!))
  if (link.startsWith("/") || relative(root, target).startsWith("..") || !existsSync(target)) return false
  if (anchor === undefined || anchor === "") return true
  return statSync(target).isFile() && anchorsOf(readFileSync(target, "utf8")).includes(anchor)
}

const documents = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".md") && !path.includes("node_modules"))
  .map((path) => join(root, path))

const found = documents.flatMap((document) =>
  linksOf(readFileSync(document, "utf8")).map((link) => ({ document, link }))
)
const lost = found.filter(({ document, link }) => !leads(document, link))
for (const { document, link } of lost) console.error(`${relative(root, document)}: ${link} leads nowhere`)
console.log(`${found.length} links in ${documents.length} documents, ${lost.length} of them lead nowhere`)
// A check that found no link has read the wrong directory.
process.exitCode = lost.length > 0 || found.length === 0 ? 1 : 0
