/** Gives each server of Node that a test makes a lane, where `LANE=true`; the routes ask for it by `vitest.config.ts`. */
import { HttpCacheLane } from "effect-http-cache/node"
import { afterAll } from "@effect/vitest"
import Http from "node:http"
import { syncBuiltinESMExports } from "node:module"

const { createServer } = Http

let hits = 0

Http.createServer =
  ((...options: Parameters<typeof createServer>) =>
    HttpCacheLane.createServer(() => createServer(...options), { onHit: () => hits++ })) as typeof createServer
syncBuiltinESMExports()

afterAll(() => process.stdout.write(`the lane has answered ${hits}\n`))
