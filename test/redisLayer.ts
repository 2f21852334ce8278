/** Clients of Redis, and storages over them, for tests. */
import { Effect, Layer } from "effect"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { Cluster, Redis } from "ioredis"
import { createClient, createCluster } from "redis"

/** A client of a cluster that is closed with the scope, by the name of its package. */
export const clusterClients = {
  ioredis: (port: number) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          const cluster = new Cluster([{ port, host: "127.0.0.1" }], { clusterRetryStrategy: () => 20 })
          cluster.on("error", () => {})
          return cluster
        }),
        (cluster) => Effect.sync(() => cluster.disconnect())
      ),
      (cluster) => RedisCacheStorage.fromIoredis(cluster)
    ),
  redis: (port: number) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.promise(async () => {
          const cluster = createCluster({ rootNodes: [{ socket: { port, host: "127.0.0.1", reconnectStrategy: 20 } }] })
          cluster.on("error", () => {})
          await cluster.connect()
          return cluster
        }),
        (cluster) => Effect.sync(() => cluster.destroy())
      ),
      (cluster) => RedisCacheStorage.fromNodeRedis(cluster)
    )
} as const

/** A client that is closed with the scope, by the name of its package. */
export const clients = {
  ioredis: (port: number) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          const client = new Redis({ port, host: "127.0.0.1", retryStrategy: () => 20 })
          client.on("error", () => {})
          return client
        }),
        (client) => Effect.sync(() => client.disconnect())
      ),
      (client) => RedisCacheStorage.fromIoredis(client)
    ),
  redis: (port: number) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.promise(async () => {
          const client = createClient({ socket: { port, host: "127.0.0.1", reconnectStrategy: 20 } })
          client.on("error", () => {})
          await client.connect()
          return client
        }),
        (client) => Effect.sync(() => client.destroy())
      ),
      (client) => RedisCacheStorage.fromNodeRedis(client)
    )
} as const

export type ClientName = keyof typeof clients

export const clientNames = Object.keys(clients) as ReadonlyArray<ClientName>

/** A client to look and to write beside the storage. */
export const bareClient = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const client = new Redis({ port, host: "127.0.0.1" })
      client.on("error", () => {})
      return client
    }),
    (client) => Effect.sync(() => client.disconnect())
  )

let prefixes = 0

/** A prefix that no other test has: many share one server. */
export const freshPrefix = (): string => `test-${++prefixes}:`

/** A storage that is empty, on a server that others use too. */
export const layerRedis = (
  port: number,
  client: ClientName = "ioredis",
  options: RedisCacheStorage.Options = {}
) =>
  Layer.unwrapEffect(
    Effect.sync(() => RedisCacheStorage.layerScoped(clients[client](port), { prefix: freshPrefix(), ...options }))
  )
