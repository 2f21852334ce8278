/**
 * A request that was handed out before the cache saw it, as `HttpLayerRouter.add("GET", "/me", (request) => …)` does: while
 * the handler runs, that very object shows what the cache shows.
 */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Context from "effect/Context"
import { EnclosingCache } from "../engine/enclosing.js"
import type { Run } from "../engine/origin.js"
import type { Reads } from "../protocol/Reads.js"
import { currentContext, serviceIn } from "../runtime/effect.js"
import { latestFirst } from "./platform.js"

/** What a run is shown in the place of a request, and what it has read of it. */
export class Shown {
  readonly request: HttpServerRequest
  /** What a router made of the query, where the handler sees less of it. */
  readonly searchParams: { readonly [name: string]: string | Array<string> } | undefined
  readonly reads: Reads | undefined

  constructor(request: HttpServerRequest, searchParams?: Shown["searchParams"], reads?: Reads) {
    this.request = request
    this.searchParams = searchParams
    this.reads = reads
  }
}

/** The run of a handler to which a request was handed over, and what it is shown. */
class HandedOver {
  readonly run: Run
  readonly shown: Shown
  /** Its body is still coming. */
  hasAnswered = false

  constructor(run: Run, shown: Shown) {
    this.run = run
    this.shown = shown
  }

  /** Somebody who may be part of this run has read a property: that counts as all of the request, unless the key has it. */
  mayHaveRead(name: PropertyKey): void {
    const isOfKey = inKey.has(name) && this.shown.searchParams === undefined
    if (!isOfKey) this.shown.reads?.unnameable.add("the request's source")
  }
}

/** What the key has, unless the route leaves out parts of the query. */
const inKey: ReadonlySet<PropertyKey> = new Set(["url", "originalUrl", "method", "protocol"])

type Properties = { [name: PropertyKey]: unknown }

/** The runs that a request was handed over to, and what it stands for. A stand-in has it from the start. */
export class HandOvers {
  /** The runs of handlers to which it was handed over, the latest last. */
  readonly runs: Array<HandedOver> = []
  /** What it stands for: the cache's own reads are not the handler's. */
  readonly original: HttpServerRequest | undefined
  /** The properties that were moved off the request; `undefined`: a stand-in, which shows a run what it is to see by itself. */
  own: Properties | undefined

  constructor(original: HttpServerRequest | undefined) {
    this.original = original
  }
}

/** It is a property of the request, since an entry in a `WeakMap` costs as much as a look-up. */
export const handOvers = Symbol("effect-http-cache/handOvers")

export const handOversOf = (request: object): HandOvers | undefined =>
  (request as { readonly [handOvers]?: HandOvers })[handOvers]

/** All that says something of the client or its target, and what the readers of it go by. */
const names: ReadonlyArray<PropertyKey> = [
  "source",
  "url",
  "originalUrl",
  "method",
  "headers",
  "cookies",
  "remoteAddress",
  "peerAddress",
  "protocol",
  "response",
  "resolvedResponse",
  "headersOverride",
  "remoteAddressOverride",
  "peerAddressOverride",
  "cachedCookies",
  "modify"
]

/**
 * What the run of the present fiber is shown. Code in no fiber of a request, such as a promise of a handler or the worker of a
 * service, may be part of any run: it is shown what the latest run is shown, and the others count as having read it too.
 */
export const shownTo = (request: object, name: PropertyKey): HttpServerRequest | undefined => {
  const runs = handOversOf(request)?.runs
  if (runs === undefined || runs.length === 0) return undefined
  const context = currentContext()
  const own = context === undefined ? undefined : runOf(runs, context)
  if (own !== undefined) return own.shown.request
  const possible = context === undefined ? runs : possibleRuns(runs, context)
  for (const other of possible.slice(0, -1)) other.mayHaveRead(name)
  return possible.at(-1)?.shown.request
}

/** The nearest of these runs that a fiber with this context is part of. */
const runOf = (runs: ReadonlyArray<HandedOver>, context: Context.Context<never>): HandedOver | undefined => {
  for (let run: Run | undefined = Context.get(context, EnclosingCache); run !== undefined; run = run.above) {
    const found = runs.find((handedOver) => handedOver.run === run)
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * The runs that a fiber which is part of none of them may work for: none, if it has a request of its own. If it has none, it is not
 * taken for part of a run that has answered: it writes logs rather than a body.
 */
const possibleRuns = (runs: ReadonlyArray<HandedOver>, context: Context.Context<never>): ReadonlyArray<HandedOver> =>
  serviceIn(context, HttpServerRequest) === undefined ? runs.filter(({ hasAnswered }) => !hasAnswered) : []

/**
 * All of these are moved off a request, so that it has no property left: in Node 20 an object that loses its latest property stays as
 * fast as it was, and one that loses another becomes a dictionary.
 */
const moved: ReadonlyArray<PropertyKey> = [...new Set([...latestFirst, ...names])]

/** By the prototype of requests: one that asks first what is shown. */
const prototypes = new WeakMap<object, object>()

const prototypeOver = (prototype: object): object => {
  const known = prototypes.get(prototype)
  if (known !== undefined) return known
  const made = Object.create(prototype) as object
  for (const name of moved) {
    const isShown = names.includes(name)
    Object.defineProperty(made, name, {
      configurable: true,
      get(this: object) {
        const shown = isShown ? shownTo(this, name) : undefined
        if (shown !== undefined) return Reflect.get(shown, name, shown) as unknown
        const own = handOversOf(this)?.own
        return own !== undefined && Object.hasOwn(own, name) ? own[name] : Reflect.get(prototype, name, this) as unknown
      },
      set(this: object, value: unknown) {
        handOversOf(this)!.own![name] = value
      }
    })
  }
  prototypes.set(prototype, made)
  return made
}

/** A request and its copies, as a router makes them beneath a prefix: who holds one of them sees the same client. */
const families = new WeakMap<object, Array<HttpServerRequest>>()

const familyOf = (request: HttpServerRequest): ReadonlyArray<HttpServerRequest> => families.get(request) ?? [request]

/** A copy is handed over to the runs that the request is handed over to. */
export const link = (copy: HttpServerRequest, request: HttpServerRequest): void => {
  if (!isLinked) return
  let family = families.get(request)
  if (family === undefined) families.set(request, family = [request])
  family.push(copy)
  families.set(copy, family)
  for (const handedOver of handOversOf(request)?.runs ?? []) handOne(copy, handedOver)
}

const linking = new WeakSet<object>()
let isLinked = true

/**
 * The copies of this class of requests are known from now on; `false`: they were before, or it has no `modify` of its own, as where
 * somebody has made the request of an object.
 */
export const linkCopies = (request: HttpServerRequest): boolean => {
  if (handOversOf(request) !== undefined) return false
  const prototype = Object.getPrototypeOf(request) as HttpServerRequest & { modify: HttpServerRequest["modify"] }
  if (linking.has(prototype) || !Object.hasOwn(prototype, "modify")) return false
  linking.add(prototype)
  const { modify } = prototype
  prototype.modify = function(this: HttpServerRequest, options) {
    const copy = modify.call(this, options)
    link(copy, this)
    return copy
  }
  return true
}

/** A copy of ours, which is not linked. */
export const ownCopy = (
  request: HttpServerRequest,
  options: Parameters<HttpServerRequest["modify"]>[0]
): HttpServerRequest => {
  const before = isLinked
  isLinked = false
  try {
    return request.modify(options)
  } finally {
    isLinked = before
  }
}

/** The run has ended: the request is to it what it is to all others. */
export const takeBack = (request: HttpServerRequest, run: Run): void => {
  for (const each of familyOf(request)) {
    const runs = handOversOf(each)?.runs
    const at = runs?.findIndex((handedOver) => handedOver.run === run) ?? -1
    if (runs !== undefined && at !== -1) runs.splice(at, 1)
  }
}

/** The run has answered, with a body that is still made. */
export const hasAnswered = (request: HttpServerRequest, run: Run): void => {
  for (const handedOver of handOversOf(request)?.runs ?? []) {
    if (handedOver.run === run) handedOver.hasAnswered = true
  }
}

/** From now on the request and its copies show `shown` to the run, and are what they are to all others. */
export const handOver = (request: HttpServerRequest, shown: Shown, run: Run): void => {
  const handedOver = new HandedOver(run, shown)
  for (const each of familyOf(request)) handOne(each, handedOver)
}

const handOne = (request: HttpServerRequest, handedOver: HandedOver): void => {
  const known = handOversOf(request)
  if (known !== undefined) return void known.runs.push(handedOver)
  const own: Properties = {}
  // Its interface says nothing of the properties that adapters keep in it.
  const given = request as unknown as Properties & { [handOvers]: HandOvers }
  for (const name of moved) {
    if (!Object.hasOwn(given, name)) continue
    own[name] = given[name]
    Reflect.deleteProperty(given, name)
  }
  Object.setPrototypeOf(given, prototypeOver(Object.getPrototypeOf(given) as object))
  given[handOvers] = new HandOvers(undefined)
  given[handOvers].own = own
  given[handOvers].runs.push(handedOver)
}
