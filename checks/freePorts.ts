/** Prints as many free ports as are asked for: `tsx checks/freePorts.ts 2`. */
import { freePort } from "../test/freePort.js"

const ports: Array<number> = []
while (ports.length < Number(process.argv[2])) ports.push(await freePort())
console.log(ports.join(" "))
