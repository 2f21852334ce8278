/**
 * Random exchanges, until one goes wrong: `npm run fuzz -- --exchanges 1000000 --seed 1 --storage "after a yield"`. The
 * storage answers at once, or as one of those of test/waiting.ts does. With `LANE=true` a server with a lane is asked.
 */
import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"
import { Found, fuzz } from "../test/fuzz.js"
import { answering, howOf } from "../test/waiting.js"

const { values } = parseArgs({
  options: { exchanges: { type: "string" }, seed: { type: "string" }, storage: { type: "string" } }
})
const how = howOf(values.storage)
const exchanges = Number(values.exchanges ?? 1_000_000)
const lane = process.env["LANE"] === "true"
const seed = Number(values.seed ?? randomInt(2 ** 31))

console.log(`${exchanges} exchanges, seed ${seed}, a storage that answers ${how}${lane ? ", with a lane" : ""}`)
const onWorld = (done: number) => {
  if (done % 50_000 === 0) console.log(`${done} done`)
}
try {
  console.log(await fuzz({ seed, exchanges, onWorld, lane, storage: (service) => answering(how, service) }))
} catch (error) {
  console.error(error instanceof Found ? error.message : error)
  process.exitCode = 1
}
