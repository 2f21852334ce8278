/** What is asked of a client of Redis, and how its replies are read. */

/**
 * A reply: bytes for a text of Redis, `null` for what is not there. An error of the server is a rejected promise.
 *
 * @since 0.2.0
 * @category models
 */
export type Reply = Uint8Array | string | number | null | ReadonlyArray<Reply>

/**
 * A client of Redis, as the storage uses it. `fromIoredis` and `fromNodeRedis` make one; for another client you write these
 * three.
 *
 * @since 0.2.0
 * @category models
 */
export interface Redis {
  /**
   * One command. Commands that are sent one after the other must be answered by one connection in that order, where their
   * keys are on one server: a pool of connections won't do. In a cluster the first key says where it goes, which is the
   * argument after the name of the command, or the fourth one of `EVAL` and `EVALSHA`.
   */
  readonly send: (args: ReadonlyArray<string | Uint8Array>) => Promise<Reply>
  /** Listens to all of the channels, on a connection of its own, until the function that it answers is called. */
  readonly subscribe: (
    channels: ReadonlyArray<string>,
    listener: (message: string) => void
  ) => Promise<() => Promise<void>>
  /** The keys are on several servers. */
  readonly isCluster: boolean
}

export const isBytes = (reply: Reply | undefined): reply is Uint8Array => reply instanceof Uint8Array

/** `undefined` for what is not there. */
export const textOf = (reply: Reply | undefined): string | undefined => {
  if (isBytes(reply)) return Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength).toString()
  return typeof reply === "string" || typeof reply === "number" ? String(reply) : undefined
}

/** 0 for what is not there. */
export const numberOf = (reply: Reply | undefined): number => Number(textOf(reply) ?? 0)

/** An empty list for what is none. */
export const listOf = (reply: Reply): ReadonlyArray<Reply> => Array.isArray(reply) ? reply as ReadonlyArray<Reply> : []
