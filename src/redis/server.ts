/** Scripts of a server, and which run of it answers: a server that was started again may have lost what it had answered. */
import { randomBytes } from "node:crypto"
import { machineClock } from "../runtime/effect.js"
import { steadyMillisOf } from "../runtime/timeouts.js"
import { listOf, numberOf, type Redis, type Reply, textOf } from "./port.js"
import { type Script, witness } from "./scripts.js"
import { slotOf } from "./slot.js"

/** A script that one run of a server knows, and no other. */
interface Witness {
  readonly run: string
  readonly script: Script
  /** When the run was last seen to be this one. Milliseconds. */
  seenAt: number
}

/** What is read, and the run of the server that answered. */
interface Witnessed {
  readonly run: string
  readonly reply: Reply
}

const isUnknown = (error: unknown): boolean => error instanceof Error && error.message.startsWith("NOSCRIPT")

/** All runs of a durable server are one. */
const durableRun = "durable"

/** Of servers of a cluster, the latest ones. */
const maxKnown = 100

/** Servers take over in the time of the machine. Steady milliseconds. */
const steadyNow = (): number => steadyMillisOf(machineClock())

/**
 * For so long after its run was seen, a server that knows the witness is taken to be of that run. Another server takes longer to take
 * over and back. Milliseconds.
 */
const lasts = 100

/** In a row, for a server that is started again and again. */
const maxAttempts = 3

/**
 * A witness is a script with a random name. When its text is given to a server, that answers with its run id; from then on
 * the sha is asked for, which a server forgets when it ends. So a read learns in the same trip, for the price of a small
 * command, whether the server that answers is the one that it was.
 */
export class Server {
  readonly redis: Redis
  private readonly isDurable: boolean
  /** By slot of the cluster; one slot without. */
  private readonly witnesses = new Map<number, Witness>()
  private readonly learning = new Map<number, Promise<Witness>>()
  private known: ReadonlyArray<Witness> = []

  constructor(redis: Redis, isDurable: boolean) {
    this.redis = redis
    this.isDurable = isDurable
  }

  /** Runs a script, whose text is sent where the server does not know it. */
  async run(
    script: Script,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string | Uint8Array>
  ): Promise<Reply> {
    const rest = [String(keys.length), ...keys, ...args]
    try {
      return await this.redis.send(["EVALSHA", script.sha, ...rest])
    } catch (error) {
      if (isUnknown(error)) return this.redis.send(["EVAL", script.text, ...rest])
      throw error
    }
  }

  /** The run that a script answered with for the key. A server knows the witnesses of a run before, where it did not end. */
  runOf(key: string, reply: Reply | undefined): string {
    if (this.isDurable) return durableRun
    const run = textOf(reply) ?? ""
    const slot = this.slotFor(key)
    if (this.witnesses.get(slot)?.run !== run) this.witnesses.delete(slot)
    return run
  }

  /** What a script is told to be sure of; nothing where the server is durable. */
  expected(run: string): string {
    return this.isDurable ? "" : run
  }

  /** Which run of the server answers for the key, after all that was sent before, and the scores of members of the key. */
  async witness(key: string, members: ReadonlyArray<string>): Promise<Witnessed> {
    if (this.isDurable) {
      const reply = members.length === 0 ? null : await this.redis.send(["ZMSCORE", key, ...members])
      return { run: durableRun, reply }
    }
    const slot = this.slotFor(key)
    for (let attempt = 1;; attempt++) {
      const witness = this.witnesses.get(slot) ?? await this.learn(slot, key)
      const reply = await this.ask(witness, key, members)
      if (reply !== undefined) return { run: witness.run, reply }
      // What was sent before may have been answered by the run that came after.
      if (this.witnesses.get(slot) === witness) this.witnesses.delete(slot)
      if (attempt === maxAttempts) throw new Error("Redis is started again and again")
    }
  }

  private slotFor(key: string): number {
    return this.redis.isCluster ? slotOf(key) : 0
  }

  /** `undefined` where it is another run of the server that answers. */
  private async ask(witness: Witness, key: string, members: ReadonlyArray<string>): Promise<Reply | undefined> {
    const { isCluster, send } = this.redis
    const { run, script: { sha } } = witness
    const evaluate = (args: ReadonlyArray<string>) => send(["EVALSHA", sha, "1", key, ...args])
    const now = steadyNow()
    // A server that was a replica meanwhile knows the script all the same.
    const isDue = now - witness.seenAt > lasts
    try {
      // A plain command costs a third of a script, and is for one server.
      const [reply, seen] = await Promise.all([
        isCluster ? evaluate(members) : send(["ZMSCORE", key, ...members]),
        isDue ? evaluate(["run"]) : isCluster ? undefined : send(["SCRIPT", "EXISTS", sha])
      ])
      // The commands may have waited for a connection.
      if (!isDue && steadyNow() - witness.seenAt > lasts) return await this.ask(witness, key, members)
      const isSame = isDue ? textOf(seen) === run : isCluster || numberOf(listOf(seen ?? null)[0]) === 1
      if (isDue && isSame) witness.seenAt = now
      return isSame ? reply : undefined
    } catch (error) {
      if (isUnknown(error)) return undefined
      throw error
    }
  }

  /** Who comes while it is learnt waits for it, and asks the server itself after that. */
  private learn(slot: number, key: string): Promise<Witness> {
    let learning = this.learning.get(slot)
    if (learning === undefined) {
      learning = this.find(slot, key).finally(() => this.learning.delete(slot))
      this.learning.set(slot, learning)
    }
    return learning
  }

  private async find(slot: number, key: string): Promise<Witness> {
    const found = await this.knownTo(key) ?? await this.introduce(key)
    this.witnesses.set(slot, found)
    return found
  }

  /** In a cluster a server may be known by another slot. */
  private async knownTo(key: string): Promise<Witness | undefined> {
    for (const known of this.redis.isCluster ? this.known : []) {
      const seenAt = steadyNow()
      try {
        const run = textOf(await this.redis.send(["EVALSHA", known.script.sha, "1", key, "run"]))
        if (run !== known.run) continue
        known.seenAt = seenAt
        return known
      } catch (error) {
        if (!isUnknown(error)) throw error
      }
    }
    return undefined
  }

  private async introduce(key: string): Promise<Witness> {
    const script = witness(randomBytes(12).toString("base64url"))
    const seenAt = steadyNow()
    const run = textOf(await this.redis.send(["EVAL", script.text, "1", key, "run"]))
    if (!run) throw new Error("Redis does not tell scripts its run id")
    const introduced = { run, script, seenAt }
    this.known = [introduced, ...this.known].slice(0, maxKnown)
    return introduced
  }
}
