/** Suites that need a Redis. */
import { afterAll, beforeAll, describe } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { type Persistence, redisServer } from "./redisServer.js"
import { isRun } from "./servers.js"

/** A suite that needs `redis-server`. Where that is missing it is left out, of which `servers.ts` tells; with `CI` it fails. */
export const describeRedis = describe.runIf(isRun("redis-server"))

/** One server for all tests of a suite. */
export const sharedServer = (how: Persistence = "none"): { readonly port: number } => {
  const scope = Effect.runSync(Scope.make())
  const shared = { port: 0 }
  beforeAll(async () => {
    shared.port = (await Effect.runPromise(Scope.extend(redisServer(how), scope))).port
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return shared
}
