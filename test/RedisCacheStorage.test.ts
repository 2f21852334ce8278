/** The storage in Redis holds what every storage holds, over each of its clients. */
import { afterAll, beforeAll, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { collectableLaws } from "effect-http-cache/testing"
import { clientNames, describeRedis, layerRedis, type RedisServer, redisServer } from "./redis.js"

describeRedis("the laws over Redis", () => {
  const scope = Effect.runSync(Scope.make())
  let server: RedisServer
  beforeAll(async () => {
    server = await Effect.runPromise(Scope.extend(redisServer(), scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const laws = collectableLaws({ tooLarge: 9 * 1024 * 1024 })
  const cases = clientNames.flatMap((client) =>
    [false, true].flatMap((durable) => laws.map((law) => ({ ...law, client, durable })))
  )

  it.live.each(cases)(
    "$client, durable: $durable: $title",
    ({ client, durable, test }) =>
      Effect.suspend(() => Effect.provide(test, layerRedis(server.port, client, { durable })))
  )
})
