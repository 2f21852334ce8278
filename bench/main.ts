/**
 * Ratios of what a cache costs, each within one run: `npm run bench`, or `npm run bench -- --quick` in less than two minutes.
 * `--only decisions`, `process`, `sizes` or `port` is one part. With `--strict` the exit code is 1 when a limit does not hold; it is 1 in any case when something could not be measured.
 */
import { availableParallelism, loadavg } from "node:os"
import { relative } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { decisions } from "./decisions.js"
import { inProcess } from "./inProcess.js"
import { overPort } from "./overPort.js"
import { sizes } from "./sizes.js"
import { Results } from "./table.js"

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    strict: { type: "boolean", default: false },
    only: { type: "string" }
  }
})
const started = performance.now()
const load = () => loadavg()[0]!.toFixed(1)

const { between, inside, port, warmUp } = flags.quick
  ? {
    warmUp: 1200,
    inside: { warmUp: 200, window: 50, rounds: 15, fewest: 5, seconds: 2 },
    between: { warmUp: 50, window: 25, rounds: 7, fewest: 5, seconds: 2.5 },
    port: { seconds: 0.8, rounds: 3 }
  }
  : {
    warmUp: 8000,
    inside: { warmUp: 1000, window: 150, rounds: 25, fewest: 15, seconds: 30 },
    between: { warmUp: 500, window: 100, rounds: 25, fewest: 15, seconds: 30 },
    port: { seconds: 2, rounds: 15 }
  }

const measured = relative(process.cwd(), fileURLToPath(import.meta.resolve("effect-http-cache")))
console.log(`${measured}, Node ${process.version}, ${availableParallelism()} cores, load ${load()}`)
const results = new Results()
const isWanted = (part: string) => flags.only === undefined || flags.only === part
if (isWanted("decisions")) await decisions(results, 15)
if (isWanted("process")) await inProcess(results, inside, warmUp)
if (isWanted("sizes")) await sizes(results, between, flags.quick)
if (isWanted("port")) await overPort(results, port)

const seconds = ((performance.now() - started) / 1000).toFixed(0)
console.log(`\n${results.missed} limits do not hold. It took ${seconds} s; load ${load()}.`)
if (results.isDisturbed) console.log("A control does not hold: something else disturbed this run.")
if (results.failed > 0) console.error(`${results.failed} could not be measured.`)
if (results.failed > 0 || (flags.strict && results.missed > 0)) process.exitCode = 1
