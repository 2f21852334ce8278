/**
 * A request that was handed out before the cache saw it, as `HttpLayerRouter.add("GET", "/me", (request) => …)` does: while
 * the handler runs, that very object shows what the cache shows.
 */
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Context from "effect/Context"
import { EnclosingCache } from "../engine/enclosing.js"
import type { Run } from "../engine/origin.js"
import { currentContext } from "../runtime/effect.js"

interface HandedOver {
  readonly run: Run
  readonly shown: HttpServerRequest
}

/** The runs of handlers to which a request was handed over, the latest last. */
const handedOver = new WeakMap<object, Array<HandedOver>>()

/** What the request itself has. */
const own = new WeakMap<object, { [name: PropertyKey]: unknown }>()

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
  const runs = handedOver.get(request)
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
        const values = own.get(this)
        return values !== undefined && Object.hasOwn(values, name)
          ? values[name]
          : Reflect.get(prototype, name, this) as unknown
      },
      set(this: object, value: unknown) {
        own.get(this)![name] = value
      }
    })
  }
  prototypes.set(prototype, made)
  return made
}

/** The run has ended: the request is to it what it is to all others. */
export const takeBack = (request: HttpServerRequest, run: Run): void => {
  const runs = handedOver.get(request)
  const at = runs?.findIndex((handedOver) => handedOver.run === run) ?? -1
  if (runs !== undefined && at !== -1) runs.splice(at, 1)
}

/** From now on the request shows `shown` to the run, and is what it is to all others. A proxy asks `shownTo` by itself. */
export const handOver = (request: HttpServerRequest, shown: HttpServerRequest, run: Run, isProxy: boolean): void => {
  const runs = handedOver.get(request)
  if (runs !== undefined) return void runs.push({ run, shown })
  handedOver.set(request, [{ run, shown }])
  if (isProxy) return
  own.set(request, Object.assign<{ [name: PropertyKey]: unknown }, object>({}, request))
  Object.setPrototypeOf(request, prototypeOver(Object.getPrototypeOf(request) as object))
  for (const name of names) Reflect.deleteProperty(request, name)
}
