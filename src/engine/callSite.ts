/**
 * Where in the program a cache was put around a handler: it tells apart two unnamed caches of one URI. Some programs build
 * routes for each request, so neither the cache nor its handler can.
 */

/** How many callers tell one place from another, as a helper that is called at two places. */
const depth = 4

const own = /[/\\](?:src|dist)[/\\](?:HttpCache|server[/\\]cached|engine[/\\]callSite)\.[jt]s/
const ofEffect = /[/\\]node_modules[/\\](?:effect|@effect[/\\][^/\\]+)[/\\]/
const ofNode = /\(?node:/
const ofFiber = /FiberRuntime/i

/** File, line and column of a frame; folders are other ones on another machine. */
const placeOf = (frame: string): string => /([^/\\(]+:\d+:\d+)\)?$/.exec(frame)?.[1] ?? frame

const isOurs = (frame: string): boolean => own.test(frame) || ofEffect.test(frame)

/** The nearest caller first. Whoever runs the fiber, beneath it on the stack, calls nothing here. */
const callersOf = (stack: string): ReadonlyArray<string> => {
  const all = stack.split("\n").slice(1).filter((frame) => !frame.endsWith("(<anonymous>)"))
  const fiber = all.findIndex((frame) => ofFiber.test(frame))
  const frames = fiber === -1 ? all : all.slice(0, fiber)
  const first = frames.findIndex((frame) => !isOurs(frame))
  const callers = first === -1 ? [] : frames.slice(first)
  const end = callers.findIndex((frame) => ofEffect.test(frame) || ofNode.test(frame))
  return (end === -1 ? callers : callers.slice(0, end)).slice(0, depth).map(placeOf)
}

/** Where handlers were first put into a cache: one that is wrapped anew for each request stays what it is, whoever asks for it. */
const known = new WeakMap<object, Map<string, string>>()

/** The sites of this process: one that is not among them is of another version of the program. */
const seen = new Set<string>()

export const isOfThisProcess = (site: string): boolean => seen.has(site)

const siteOf = (handler: object, [nearest = "", ...others]: ReadonlyArray<string>): string => {
  const sites = known.get(handler) ?? new Map<string, string>()
  known.set(handler, sites)
  const site = sites.get(nearest) ?? [nearest, ...others].join(" < ")
  sites.set(nearest, site)
  seen.add(site)
  return site
}

/** Reads the stack when the place is first asked for: that is most of the cost. */
export const callSite = (handler: object): () => string => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 16
  const error = new Error()
  Error.stackTraceLimit = limit
  let site: string | undefined
  return () => site ??= siteOf(handler, callersOf(error.stack ?? ""))
}
