/**
 * What an application takes of this library that imports `withCache` and the storage in memory, and how long the import takes
 * once Effect and its platform are there: `npm run check:size`. The exit code is 1 beyond the budget. Times are printed only.
 */
import { build } from "esbuild"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

/** KiB, minified and gzipped: 56 before failures 109 to 122 were mended, which takes 0.9. */
const budget = 57
const runs = 9

const root = fileURLToPath(new URL("..", import.meta.url))

const { outputFiles: [bundle] } = await build({
  stdin: {
    contents: "export { InMemoryCacheStorage, withCache } from \"./dist/index.js\"",
    resolveDir: root
  },
  bundle: true,
  minify: true,
  write: false,
  format: "esm",
  platform: "node",
  external: ["effect", "@effect/*"]
})
const { contents } = bundle!

/** Of a process of its own. Milliseconds. */
const importTime = (): number => {
  const script = `await import("effect"); await import("@effect/platform"); const before = performance.now()
    await import("./dist/index.js"); console.log(performance.now() - before)`
  return Number(
    execFileSync(process.execPath, ["--input-type=module", "--eval", script], { cwd: root, encoding: "utf8" })
  )
}
const times = Array.from({ length: runs }, importTime).sort((a, b) => a - b)

const kibibytes = (bytes: number) => (bytes / 1024).toFixed(1)
const zipped = gzipSync(contents).byteLength
console.log(
  `${kibibytes(contents.byteLength)} KiB minified, ${kibibytes(zipped)} KiB gzipped, of ${budget} at most; ` +
    `imported in ${times[runs >> 1]!.toFixed(0)} ms (median of ${runs}, with Effect and its platform there)`
)
if (zipped > budget * 1024) process.exitCode = 1
