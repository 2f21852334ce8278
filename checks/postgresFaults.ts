/**
 * Two nodes over one PostgreSQL, asked by 200 connections while it is restarted, and while it crashes and is started again: each
 * request is answered, none later than by the bound, and after the recovery no answer is older than the last `PATCH` that was
 * answered. `npm run check:postgres-faults`.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { setTimeout as sleep } from "node:timers/promises"
import { type PostgresServer, postgresServer } from "../test/postgresServer.js"
import { layerSql } from "../test/sqliteLayer.js"
import { tryOut } from "./nodesInTrouble.js"

/** Of each, both nodes notice: the circuit breaker is closed when it comes. */
const trouble = async (server: PostgresServer): Promise<void> => {
  await sleep(3000)
  for (const signal of ["SIGINT", "SIGQUIT"] as const) {
    await server.stop(signal)
    await sleep(500)
    await server.start()
    await sleep(12_000)
  }
}

const trial = Effect.map(postgresServer, (server) => {
  const client = Layer.orDie(PgClient.layer({
    host: "127.0.0.1",
    port: server.port,
    username: "test",
    database: "postgres",
    maxConnections: 10
  }))
  const storage = () => Layer.fresh(layerSql({ client, prefix: "shop_" }))
  return { storages: [storage(), storage()], trouble: () => trouble(server) }
})

await tryOut("postgres", trial)
