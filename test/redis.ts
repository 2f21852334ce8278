/** Suites that need a Redis. */
import { afterAll, beforeAll, describe } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { spawnSync } from "node:child_process"
import { type Persistence, redisServer } from "./redisServer.js"

const isInstalled = spawnSync("redis-server", ["--version"]).status === 0

/** A suite that needs `redis-server`. Where that is missing it is left out, or fails where `CI` is set. */
export const describeRedis = (name: string, suite: () => void): void => {
  if (isInstalled || process.env["CI"] !== undefined) describe(name, suite)
  else {
    process.stderr.write(`"${name}" is left out without redis-server: apt-get install -y redis-server\n`)
    describe.skip(name, suite)
  }
}

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
