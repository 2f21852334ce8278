/** The storage in Redis holds what every storage holds, over each of its clients. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { collectableLaws } from "effect-http-cache/testing"
import { describeRedis, sharedServer } from "./redis.js"
import { clientNames, layerRedis } from "./redisLayer.js"

describeRedis("the laws over Redis", () => {
  const server = sharedServer()
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
