/** The bare server in a process of its own. Prints its port as JSON, and ends with its standard input. */
import { startBare } from "./bare.js"

const { close, port } = await startBare()
console.log(JSON.stringify(port))
process.stdin.on("end", close).resume()
