/** The two common clients as the port has them. Their types are structural: neither package is imported. */
import type { Redis, Reply } from "./port.js"

/**
 * What is used of a client of `ioredis`, version 5 or 6: a `Redis`, also one of Sentinel, or a `Cluster`.
 *
 * @since 0.2.0
 * @category models
 */
export interface Ioredis {
  readonly isCluster: boolean
  readonly callBuffer: (command: string, args: Array<string | Buffer | number>) => Promise<unknown>
  /** Of a `Cluster`: clients of its servers. */
  readonly nodes?: ((role: "master") => ReadonlyArray<Pick<Ioredis, "duplicate">>) | undefined
  duplicate(options?: object): IoredisSubscriber
  /** The socket; a `Cluster` has several. */
  readonly stream?: IoredisStream | undefined
}

/**
 * What is used of a socket.
 *
 * @since 0.2.0
 * @category models
 */
export interface IoredisStream {
  readonly cork: () => void
  readonly uncork: () => void
}

/**
 * What is used of a second connection of `ioredis`.
 *
 * @since 0.2.0
 * @category models
 */
export interface IoredisSubscriber {
  readonly subscribe: (...channels: Array<string>) => Promise<unknown>
  readonly on: (event: "message" | "error", listener: (channel: string, message: string) => void) => unknown
  readonly disconnect: () => void
}

/**
 * What is used of a client of `redis` (node-redis), version 5 or 6: one of `createClient` or of `createSentinel`'s kind.
 *
 * @since 0.2.0
 * @category models
 */
export interface NodeRedis {
  readonly sendCommand: (args: Array<string | Buffer>, options?: NodeRedisOptions) => Promise<unknown>
  readonly options?: { readonly socket?: object | undefined } | undefined
  readonly duplicate: (options?: { readonly socket: object }) => NodeRedisSubscriber
}

/**
 * What is used of a cluster of `redis` (node-redis), version 5 or 6.
 *
 * @since 0.2.0
 * @category models
 */
export interface NodeRedisCluster {
  readonly sendCommand: (
    firstKey: string | Buffer | undefined,
    isReadonly: boolean | undefined,
    args: Array<string | Buffer>,
    options?: NodeRedisOptions
  ) => Promise<unknown>
  readonly slots: unknown
  readonly getRandomNode: () => object
  // The type of a node is the cluster's own.
  nodeClient(node: object): Promise<Pick<NodeRedis, "duplicate" | "options">>
}

/**
 * What is used of a second connection of `redis` (node-redis).
 *
 * @since 0.2.0
 * @category models
 */
export interface NodeRedisSubscriber {
  readonly connect: () => Promise<unknown>
  readonly subscribe: (channels: Array<string>, listener: (message: string) => void) => Promise<unknown>
  readonly on: (event: "error", listener: () => void) => unknown
  readonly destroy: () => void
}

/**
 * How `redis` (node-redis) is told to answer texts as bytes.
 *
 * @since 0.2.0
 * @category models
 */
export interface NodeRedisOptions {
  readonly typeMapping: { readonly 36: BufferConstructor }
}

/** What is written in one step goes out as one packet: the way to the server and back is most of what a look-up costs. */
const together = (stream: IoredisStream | undefined): void => {
  if (stream === undefined) return
  stream.cork()
  setImmediate(() => stream.uncork())
}

const owned = (arg: string | Uint8Array): string | Buffer =>
  typeof arg === "string" ? arg : Buffer.from(arg.buffer, arg.byteOffset, arg.byteLength)

/**
 * Who listens waits for its connection, whatever the client does that commands are sent by. A connection that is lost does not
 * come back: what was told meanwhile would be missed, and nobody would know.
 */
const listening = { enableOfflineQueue: true, lazyConnect: false, autoResubscribe: false, retryStrategy: () => null }

/** One of a list that may be empty. */
const anyOf = <A>(all: ReadonlyArray<A>): A => {
  const one = all[Math.floor(Math.random() * all.length)]
  if (one === undefined) throw new Error("no server of the cluster is known")
  return one
}

/**
 * An `ioredis` client that is connected, or connects by itself. It stays yours to close.
 *
 * @example
 * ```ts
 * import { RedisCacheStorage } from "effect-http-cache/redis"
 * import { Redis } from "ioredis"
 *
 * const storage = RedisCacheStorage.layer(RedisCacheStorage.fromIoredis(new Redis("redis://localhost:6379")))
 * ```
 *
 * @since 0.2.0
 * @category clients
 */
export const fromIoredis = (client: Ioredis): Redis => ({
  isCluster: client.isCluster,
  send: ([command, ...args]) => {
    together(client.stream)
    return client.callBuffer(String(command), args.map(owned)) as Promise<Reply>
  },
  subscribe: async (channels, listener) => {
    // Each server of a cluster tells what any of them was told.
    const subscriber = (client.nodes === undefined ? client : anyOf(client.nodes("master"))).duplicate(listening)
    subscriber.on("error", () => {})
    subscriber.on("message", (_, message) => listener(message))
    await subscriber.subscribe(...channels)
    return async () => subscriber.disconnect()
  }
})

/** Texts come as bytes: `$` is what they begin with in the protocol of Redis. */
const asBytes: NodeRedisOptions = { typeMapping: { 36: Buffer } }

const firstKeyOf = (args: ReadonlyArray<string | Buffer>) => args[/^EVAL/i.test(String(args[0])) ? 3 : 1]

/**
 * A client of `redis` (node-redis), of `createClient` or of `createCluster`, that is connected. It stays yours to close.
 *
 * @example
 * ```ts
 * import { RedisCacheStorage } from "effect-http-cache/redis"
 * import { createClient } from "redis"
 *
 * const connected = async () => {
 *   const client = createClient({ url: "redis://localhost:6379", disableOfflineQueue: true })
 *   client.on("error", () => {}) // it connects again
 *   await client.connect()
 *   return RedisCacheStorage.layer(RedisCacheStorage.fromNodeRedis(client))
 * }
 * ```
 *
 * @since 0.2.0
 * @category clients
 */
export const fromNodeRedis = (client: NodeRedis | NodeRedisCluster): Redis => ({
  isCluster: "slots" in client,
  send: (args) => {
    const own = args.map(owned)
    const reply = "slots" in client
      ? client.sendCommand(firstKeyOf(own), false, own, asBytes)
      : client.sendCommand(own, asBytes)
    return reply as Promise<Reply>
  },
  subscribe: async (channels, listener) => {
    const one = "slots" in client ? await client.nodeClient(client.getRandomNode()) : client
    const subscriber = one.duplicate({ socket: { ...one.options?.socket, reconnectStrategy: false } })
    subscriber.on("error", () => {})
    await subscriber.connect()
    await subscriber.subscribe([...channels], listener)
    return async () => subscriber.destroy()
  }
})
