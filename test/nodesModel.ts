/**
 * Two nodes over one far storage, each with a near one in its memory, against a model that knows how old a value the clients
 * of each node may still be shown. A function of the seed. Every call of the far storage and every step of a handler waits
 * until it is let go on; a near storage answers as one in memory does. What is collected far is told to both nodes in order,
 * each a second later at most while it is connected. Connections are lost, and come back.
 */
import { Effect, Exit, Layer, Scope } from "effect"
import {
  CacheError,
  type CacheItem,
  type CacheStorage,
  CollectableCacheStorage,
  InMemoryCacheStorage,
  TieredCacheStorage
} from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { setImmediate } from "node:timers/promises"
import { exitOf, pushed } from "../src/runtime/effect.js"
import { type Door, paths, siteOf, type Tally, World, type Written } from "./modelWorld.js"
import { answering, type How } from "./waiting.js"

export interface Plan {
  readonly seed: number
  /** What clients and the driver do; the steps in between are not counted. */
  readonly operations: number
}

const operationsPerWorld = 500
const most = 10

/** How long after a collect was answered, or the connection was there again, the other node may not have heard. */
const bound = 1000

/**
 * How long after its last trouble a node has told the other of all that it has collected, and that one has heard: a circuit
 * breaker waits for ten seconds, who delivers what was not delivered for one, and a message takes one.
 */
const recovery = 13_000

type Method = CacheError.CacheStorageError["method"]
type Collected = CollectableCacheStorage.Collected

const down = (method: Method) =>
  new CacheError.CacheStorageError({ storage: "model", method, key: "", cause: "trouble" })

interface Listener {
  readonly push: (collected: Collected) => void
  readonly fail: (error: CacheError.CacheStorageError) => void
}

/** What is shared: a storage in memory, and the connections of the nodes. */
interface Far {
  readonly memory: CollectableCacheStorage.Service
  readonly nodes: Array<Node>
  readonly stored: Map<string, CacheStorage.Lookup>
}

/** A process, with its connection to the far storage. */
class Node {
  readonly name: string
  /** How many of the next calls fail. */
  trouble = 0
  /** Its calls fail too while it is not connected. */
  private isCut = false
  /** Since when it is connected; `undefined`: it is not. */
  private since: number | undefined
  private hasNoticed = false
  private listener: Listener | undefined
  private readonly messages: Array<Collected> = []
  /** How many look-ups the far storage was asked for. */
  asked = 0
  readonly undelivered = new Set<string>()
  /** Nobody who asks here may be shown less. */
  private readonly floors = new Map(paths.map((path) => [path, 0]))
  /** What the other node's answered collects make out of date here, once this one must have heard. */
  private owed: Array<{ readonly written: Written; readonly at: number }> = []
  private readonly world: World
  private readonly far: Far

  constructor(name: string, world: World, far: Far) {
    this.name = name
    this.world = world
    this.far = far
    this.since = world.clock.now
  }

  // What is owed

  leastOf(path: string): number {
    this.fallDue()
    return this.floors.get(path)!
  }

  collected(written: ReadonlyArray<Written>): void {
    for (const [path, value] of written) this.floors.set(path, Math.max(this.floors.get(path)!, value))
  }

  owe(written: Written): void {
    this.owed.push({ written, at: this.world.clock.now })
  }

  private fallDue(): void {
    const { since } = this
    if (since === undefined) return
    const isDue = ({ at }: { readonly at: number }) => this.world.clock.now >= Math.max(at, since) + bound
    this.collected(this.owed.filter(isDue).map(({ written }) => written))
    this.owed = this.owed.filter((owed) => !isDue(owed))
  }

  // The connection

  get isConnected(): boolean {
    return this.since !== undefined
  }

  readonly collects = pushed<Collected, CacheError.CacheStorageError>((push, fail) =>
    Effect.sync(() => {
      if (!this.isConnected) return fail(down("collect"))
      this.world.clock.after(1 + this.world.dice.below(400), () => {
        this.listener = { push, fail }
        this.world.tell("connected")
        this.world.note(`${this.name} hears again`)
        push({ keys: [], groups: [], everything: true })
      })
    })
  )

  lose(isCut: boolean): void {
    const { listener, world } = this
    if (listener === undefined) return
    this.fallDue()
    world.note(`${this.name} is not connected, and misses ${this.messages.length}`)
    world.tell("lost")
    if (this.messages.length > 0) world.tell("missed")
    this.messages.length = 0
    this.listener = this.since = undefined
    this.hasNoticed = false
    this.isCut = isCut
    world.clock.after(world.dice.below(bound), () => {
      this.hasNoticed = true
      listener.fail(down("collect"))
    })
  }

  comeBack(): void {
    if (this.isConnected || !this.hasNoticed) return
    this.world.note(`${this.name} can connect again`)
    this.since = this.world.clock.now
    this.isCut = false
  }

  /** It is told within the bound, and may be told earlier. */
  tell(collected: Collected): void {
    if (this.listener === undefined) return
    this.messages.push(collected)
    this.world.clock.after(bound, () => {
      if (this.messages.includes(collected)) this.world.tell("heard at last")
      while (this.messages.includes(collected)) this.hear()
    })
  }

  hear(): void {
    const collected = this.messages.shift()
    if (collected === undefined) return
    this.world.note(`${this.name} hears ${[...collected.keys, ...collected.groups]}`)
    this.world.tell("heard")
    this.listener!.push(collected)
  }

  // The far storage, as this node reaches it

  private call<A, E>(method: Method, evaluate: () => Effect.Effect<A, E>) {
    const { dice } = this.world
    return Effect.async<A, E | CacheError.CacheStorageError>((resume) =>
      this.world.later(() => {
        const fails = this.isCut || (this.trouble > 0 && this.trouble-- > 0)
        // What has failed may have been done.
        const answer = this.isCut || (fails && dice.is(0.5)) ? undefined : Effect.runSyncExit(evaluate())
        this.world.later(() => resume(fails || answer === undefined ? down(method) : answer))
      })
    )
  }

  get service(): CollectableCacheStorage.SharedService {
    const { memory, nodes, stored } = this.far
    return {
      get: (lookup) => {
        this.asked++
        return Effect.tap(
          this.call("get", () => memory.get(lookup)),
          () => Effect.sync(() => this.world.tell("found far"))
        )
      },
      begin: (lookup) => this.call("begin", () => memory.begin(lookup)),
      set: (item, fill) => {
        if (item !== undefined) stored.set(`${item.key} ${item.variant}`, fill.lookup)
        return Effect.tap(
          this.call("set", () => memory.set(item, fill)),
          (kept) => Effect.sync(() => this.world.tell(kept === "kept" ? "kept" : "not kept"))
        )
      },
      collect: (names, style, own) =>
        this.call("collect", () =>
          Effect.tap(memory.collect(names, style, own), () =>
            Effect.sync(() => {
              for (const node of nodes) node.tell({ ...names, ...style })
            }))),
      holds: (names, fill) => this.call("holds", () => memory.holds(names, fill)),
      collects: this.collects
    }
  }
}

const pathOf = (key: string): string => new URL(key).pathname

/** What a collect of these names makes out of date. */
const pathsOf = ({ groups, keys }: CollectableCacheStorage.Names): ReadonlyArray<string> =>
  paths.filter((path) =>
    keys.some((key) => pathOf(key) === path) || groups.some((group) => group.includes(`of ${path}`))
  )

const isStale = ({ initialAge, lifetime, responseTime }: CacheItem.CacheItem, now: number): boolean =>
  now >= responseTime + lifetime - initialAge

const live = async (seed: number, number: number, count: number, tally: Tally): Promise<void> => {
  const world = new World(seed, number, tally)
  const { clock, dice } = world
  /** The far storage answers whatever it is asked, however late. */
  const isCalm = dice.is(0.3)
  const limits = () => InMemoryCacheStorage.make(dice.one([{}, {}, { maxItems: 2 }, { maxBytes: 8 * 1024 }]))
  const far: Far = { memory: limits(), nodes: [], stored: new Map() }
  const site = siteOf(world, [0, 1, 10, 60])
  const how: How = dice.one(["at once", "after a yield"])
  const farTimeout = isCalm ? 3600 : dice.one([0.2, 3600])
  const scope = Effect.runSync(Scope.make())

  /** The value of its path when a fill began, by what its storage knows it by. */
  const begunAt = new Map<unknown, number>()

  /** The storage of a node, as the engine has it. */
  const watched = (node: Node, tiered: CollectableCacheStorage.Service): CollectableCacheStorage.Service => ({
    ...tiered,
    begin: (lookup) =>
      Effect.suspend(() => {
        const value = site.values.get(pathOf(lookup.key))!
        return Effect.tap(tiered.begin(lookup), (fill) => Effect.sync(() => begunAt.set(fill.since, value)))
      }),
    get: (lookup) =>
      Effect.suspend(() => {
        const { asked } = node
        const { now } = clock
        return Effect.tap(tiered.get(lookup), (item) =>
          Effect.sync(() => {
            if (node.asked === asked) world.tell("found near")
            // Far there may be a newer one.
            if (isCalm && node.asked === asked && isStale(item, now)) {
              world.found(`${node.name}: stale ${item.key} is served near`)
            }
          }))
      }),
    collect: (names, style, own) =>
      Effect.suspend(() => {
        // A fill that goes on is of what its own run has written, also where another has written since: that one collects later.
        const most = (path: string) =>
          own !== undefined && pathOf(own.lookup.key) === path ? begunAt.get(own.since)! + 1 : Infinity
        const written = pathsOf(names).map((path): Written => [path, Math.min(site.values.get(path)!, most(path))])
        const name = `${names.keys} ${names.groups}`
        return Effect.onExit(tiered.collect(names, style, own), (exit) =>
          Effect.sync(() => {
            if (Exit.isFailure(exit)) {
              world.tell("not delivered")
              node.undelivered.add(name)
              return
            }
            if (own !== undefined && exit.value !== undefined) begunAt.set(exit.value.since, begunAt.get(own.since)!)
            if (node.undelivered.delete(name)) world.tell("delivered late")
            for (const other of far.nodes) if (other !== node) { for (const each of written) other.owe(each) }
          }))
      })
  })

  const storages: Array<CollectableCacheStorage.Service> = []
  const doors = ["A", "B"].map((name): Door => {
    const node = new Node(name, world, far)
    far.nodes.push(node)
    const tiered = TieredCacheStorage.make(answering(how, limits()), node.service, { farTimeout })
    const layer = CollectableCacheStorage.layer(
      Effect.map(tiered, (tiered) => {
        const storage = watched(node, tiered)
        storages.push(storage)
        return storage
      })
    )
    const built = world.run(Layer.buildWithScope(layer, scope))
    world.settle()
    const exit = exitOf(built)
    if (exit === undefined || Exit.isFailure(exit)) return world.found("there is no storage")
    return {
      name: `${name}: `,
      context: exit.value,
      leastOf: (path) => node.leastOf(path),
      collected: (written) => node.collected(written)
    }
  })

  const evict = (): void => {
    for (const [place, lookup] of far.stored) {
      const fill = Effect.runSync(far.memory.begin(lookup))
      if (fill.item === undefined || dice.is(0.5)) continue
      Effect.runSync(far.memory.set(undefined, fill))
      world.note(`evict ${place}`)
      world.tell("evicted")
      return
    }
  }

  const step = async (roll: number): Promise<void> => {
    const node = dice.one(far.nodes)
    if (roll < 0.36) site.get(dice.one(doors))
    else if (roll < 0.44) site.collect(dice.one(doors))
    else if (roll < 0.46) evict()
    else if (roll < 0.7) node.hear()
    else if (roll < 0.88) await world.pass(clock.now + dice.one([1, 100, 300, 1000, 3000]), dice.one(["slow", "quick"]))
    else if (roll < 0.9) node.trouble = isCalm ? 0 : 1 + dice.below(4)
    else if (roll < 0.92) node.lose(!isCalm && dice.is(0.5))
    else if (roll < 0.96) node.comeBack()
    else world.interruptOne()
  }

  for (let done = 0; done < count;) {
    if (world.clients < most && dice.is(0.4)) {
      done++
      await step(dice.next())
    } else world.release()
    world.settle()
  }

  // One of them can't deliver what it collects at last. Then the trouble is over, and after a while both have heard of all.
  const last = dice.below(2)
  far.nodes[last]!.lose(!isCalm)
  for (let left = dice.below(3); left >= 0; left--) site.collect(doors[last]!)
  world.settle()
  world.end()
  for (const node of far.nodes) node.trouble = 0
  await world.pass(clock.now + bound, "quick")
  for (const node of far.nodes) node.comeBack()
  await world.pass(clock.now + recovery, "quick")
  // Who is asked for what it could not deliver delivers that first: the other one is asked before.
  for (const door of [doors[1 - last]!, doors[last]!]) {
    for (const path of paths) {
      const least = Math.max(...doors.map((each) => each.leastOf(path)))
      site.get({ ...door, leastOf: () => least }, path)
    }
    world.settle()
    world.end()
  }
  for (const storage of storages) {
    if (activity(storage).flights > 0 || activity(storage).waiters !== 0) world.found("a flight is left")
  }
  world.run(Scope.close(scope, Exit.void))
  world.settle()
}

/** Rejects with the first answer that is too old. */
export const nodesModel = async ({ operations, seed }: Plan): Promise<Tally> => {
  const tally: Tally = {}
  for (let done = 0, number = 0; done < operations; done += operationsPerWorld, number++) {
    await live(seed, number, Math.min(operationsPerWorld, operations - done), tally)
    await setImmediate()
  }
  return tally
}
