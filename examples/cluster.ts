/**
 * Two processes with the routes of the quickstart, and one Redis: `STORAGE=redis://localhost:6379 npx tsx examples/cluster.ts`
 *
 * What one has stored the other serves, and after a `PATCH` at one no old value comes from the other. They share the users
 * too, as they would share a database: here that is Redis as well.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { HttpCache } from "effect-http-cache"
import { Redis } from "ioredis"
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { HandlerRuns, main, someUsers, type User, Users } from "./quickstart.js"
import { storage } from "./storage.js"

const url = Config.withDefault(Config.string("STORAGE"), "redis://localhost:6379")

const table = "effect-http-cache-example:users"

const sharedUsers = Layer.scoped(
  Users,
  Effect.gen(function*() {
    const redis = new Redis(yield* url)
    yield* Effect.addFinalizer(() => Effect.sync(() => redis.disconnect()))
    for (const user of someUsers) yield* Effect.promise(() => redis.hsetnx(table, user.id, JSON.stringify(user)))
    return {
      find: (id) =>
        Effect.map(
          Effect.promise(() => redis.hget(table, id)),
          (text) => text === null ? undefined : JSON.parse(text) as User
        ),
      save: (user) => Effect.promise(() => redis.hset(table, user.id, JSON.stringify(user)))
    }
  })
)

/** Under which what is stored is named, whichever of the processes is asked. */
const origin = "http://localhost"

const services = Layer.mergeAll(
  HandlerRuns.layer,
  sharedUsers,
  storage,
  Layer.succeed(HttpCache.Defaults, { origin })
)

const startProcess = (port: number) =>
  Effect.flatMap(url, (STORAGE) =>
    Effect.acquireRelease(
      Effect.sync(() =>
        fork(fileURLToPath(import.meta.url), ["one"], { env: { ...process.env, STORAGE, PORT: String(port) } })
      ),
      (child) =>
        Effect.promise(async () => {
          if (child.exitCode !== null) return
          child.kill()
          await once(child, "exit")
        })
    ))

const ports = Effect.map(
  Config.withDefault(Config.string("PORTS"), "3001,3002"),
  (texts) => texts.split(",").map(Number)
)

const both = Effect.gen(function*() {
  const children = yield* Effect.forEach(yield* ports, startProcess)
  yield* Effect.raceAll(children.map((child) => Effect.promise(() => once(child, "exit"))))
  yield* Console.error("One of them has ended")
})

NodeRuntime.runMain(process.argv.includes("one") ? main(services) : Effect.scoped(both))
