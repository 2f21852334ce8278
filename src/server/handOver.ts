/**
 * A request that was handed out before the cache saw it, as `HttpLayerRouter.add("GET", "/me", (request) => …)` does: while
 * the handler runs, that very object shows what the cache shows.
 */
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Context from "effect/Context"
import { EnclosingCache } from "../engine/enclosing.js"
import type { Run } from "../engine/origin.js"
import { currentContext } from "../runtime/effect.js"

/** The run of a handler to which a request was handed over, and what it is shown. */
class HandedOver {
  readonly run: Run
  readonly shown: HttpServerRequest

  constructor(run: Run, shown: HttpServerRequest) {
    this.run = run
    this.shown = shown
  }
}

type Properties = { [name: PropertyKey]: unknown }

/** What is kept with a request: one that stands for another has it from the start. */
export class Kept {
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
export const kept = Symbol("effect-http-cache/kept")

export const keptWith = (request: object): Kept | undefined => (request as { readonly [kept]?: Kept })[kept]

/** All that says something of the client or its target, and what the readers of it go by. */
const names = [
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
 * What the run that the present fiber is part of is shown. Outside of all fibers, as in a promise of a handler's, it may be
 * any run: the latest.
 */
export const shownTo = (request: object): HttpServerRequest | undefined => {
  const runs = keptWith(request)?.runs
  if (runs === undefined || runs.length === 0) return undefined
  const context = currentContext()
  if (context === undefined) return runs.at(-1)?.shown
  let run: Run | undefined = Context.get(context, EnclosingCache)
  for (; run !== undefined; run = run.above) {
    const found = runs.find((handedOver) => handedOver.run === run)
    if (found !== undefined) return found.shown
  }
  return undefined
}

/** By the prototype of requests: one that asks first what is shown. */
const prototypes = new WeakMap<object, object>()

const prototypeOver = (prototype: object): object => {
  const known = prototypes.get(prototype)
  if (known !== undefined) return known
  const made = Object.create(prototype) as object
  for (const name of names) {
    Object.defineProperty(made, name, {
      configurable: true,
      get(this: object) {
        const shown = shownTo(this)
        if (shown !== undefined) return Reflect.get(shown, name, shown) as unknown
        const own = keptWith(this)?.own
        return own !== undefined && Object.hasOwn(own, name) ? own[name] : Reflect.get(prototype, name, this) as unknown
      },
      set(this: object, value: unknown) {
        keptWith(this)!.own![name] = value
      }
    })
  }
  prototypes.set(prototype, made)
  return made
}

/** The run has ended: the request is to it what it is to all others. */
export const takeBack = (request: HttpServerRequest, run: Run): void => {
  const runs = keptWith(request)?.runs
  const at = runs?.findIndex((handedOver) => handedOver.run === run) ?? -1
  if (runs !== undefined && at !== -1) runs.splice(at, 1)
}

/** From now on the request shows `shown` to the run, and is what it is to all others. */
export const handOver = (request: HttpServerRequest, shown: HttpServerRequest, run: Run): void => {
  const known = keptWith(request)
  if (known !== undefined) return void known.runs.push(new HandedOver(run, shown))
  const own = Object.create(null) as Properties
  // Its interface says nothing of the properties that adapters keep in it.
  const given = request as unknown as Properties & { [kept]: Kept }
  for (const name of names) {
    if (!Object.hasOwn(given, name)) continue
    own[name] = given[name]
    Reflect.deleteProperty(given, name)
  }
  Object.setPrototypeOf(given, prototypeOver(Object.getPrototypeOf(given) as object))
  given[kept] = new Kept(undefined)
  given[kept].own = own
  given[kept].runs.push(new HandedOver(run, shown))
}
