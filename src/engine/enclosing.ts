/** What caches around one handler tell each other: a cell in the context, one for each run of a handler. */
import * as Effect from "effect/Effect"
import type * as CacheStorage from "../CacheStorage.js"
import type { CacheKey } from "../protocol/CacheKey.js"
import { groupsOf } from "../policy/checks.js"
import * as CacheGroups from "../protocol/CacheGroups.js"
import * as Fields from "../protocol/Fields.js"
import * as Preconditions from "../protocol/Preconditions.js"
import { reference } from "../runtime/effect.js"
import type { Identity, OwnFill, Run, View } from "./origin.js"

export class RunBeneath implements Run {
  readonly depth: number
  readonly above: Run
  readonly origin: string
  readonly personal = new Set<string>()
  question: Fields.Fields | undefined
  ownFill: OwnFill | undefined

  constructor(above: Run, origin: string, ownFill?: OwnFill, question?: Fields.Fields) {
    this.depth = above.depth + 1
    this.above = above
    this.origin = origin
    this.question = question
    this.ownFill = ownFill
  }
}

/**
 * The run that this effect is part of. A cache beneath records in it what it has answered, and where that is what the handler
 * answers, the cache above steps aside.
 */
export const EnclosingCache = reference("effect-http-cache/EnclosingCache", () => outside())

const outside = (): Run => ({ depth: -1, origin: "", personal: new Set() })

/** The effect is part of no run, wherever it is run. */
export const ofNoRun = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.provideService(effect, EnclosingCache, outside()))

/** Runs an effect at the depth of this run. The caches above do not hear what it says. */
export const unheard = <A, E, R>(effect: Effect.Effect<A, E, R>, { depth, origin }: Run): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, EnclosingCache, { ...outside(), depth, origin })

/** A run, and those above it. */
function* enclosing(nearest: Run): Generator<Run> {
  for (let run: Run | undefined = nearest; run !== undefined && run.depth >= 0; run = run.above) yield run
}

/**
 * The view of a cache beneath others: without the fields by which a cache above asks about its own representation, such as a
 * page of which this one keeps a part (RFC 9111 §4.3.1).
 */
export const viewBeneath = (nearest: Run, view: View): View => {
  if (nearest.depth < 0) return view
  const others = new Set<string>()
  for (const { question } of enclosing(nearest)) {
    for (const [field, value] of Object.entries(question ?? {})) {
      // A handler may ask by a request of its own.
      if (Fields.get(view.fields, field) === value) others.add(field)
    }
  }
  if (others.size === 0) return view
  const fields = Fields.without(view.fields, others)
  return { ...view, fields, condition: Preconditions.condition(fields) }
}

/** Tells all caches above not to store either: their responses are made of one that is not to be stored. */
export const noStore: Effect.Effect<void> = Effect.map(EnclosingCache, (nearest) => {
  for (const run of enclosing(nearest)) run.isRefused = true
})

/** Tells all caches above: one beneath has followed this client's range, conditions or directives. */
export const tellForThisClient = (nearest: Run): void => {
  for (const run of enclosing(nearest)) run.isForThisClient = true
}

/** Whether a cache beneath has answered with this body. What else is made of a partial answer of one is not to be stored. */
export const isAnswerBeneath = (run: Run, body: unknown): boolean => {
  const isIt = run.answeredWith === body
  if (run.isForThisClient === true && !isIt) run.isRefused = true
  return isIt
}

/** For all caches above: the response is for one user, of this partition where one is named. */
export const tellPersonal = (nearest: Run, partition: string): void => {
  for (const run of enclosing(nearest)) run.personal.add(partition)
}

/** For all caches above: the response is of these groups, by name; `undefined`: of one that has none. */
const tellGroups = (nearest: Run, groups: ReadonlyArray<string> | undefined): void => {
  for (const run of enclosing(nearest)) {
    if (groups === undefined) run.isUngrouped = true
    const told = run.groups ??= new Set()
    // One more than there may be is too many already.
    for (const group of groups ?? []) if (told.size <= CacheGroups.mostGroups) told.add(group)
  }
}

/** Tells all caches above: a page that they make of this part is for the same user, and of the groups of its parts. */
export const tell = (
  { above, identity }: { readonly above: Run; readonly identity: Identity },
  isPersonal: boolean,
  groups: ReadonlyArray<string> | undefined
): void => {
  if (isPersonal) tellPersonal(above, identity.partition)
  if (groups === undefined || groups.length > 0) tellGroups(above, groups)
}

/** For all caches above: the groups that a program gives. What is wrong with them is logged, and fails nobody. */
export const giveGroups = (nearest: Run, where: string, give: () => Iterable<unknown>): Effect.Effect<void> => {
  if (nearest.depth < 0) return Effect.void
  try {
    tellGroups(nearest, groupsOf(where, give()).map((group) => CacheGroups.nameOf(nearest.origin, group)))
    return Effect.void
  } catch (error) {
    tellGroups(nearest, undefined)
    return Effect.logWarning(`effect-http-cache: ${where} of a response that is not stored: ${error}`)
  }
}

/** The fill of this key in this storage, of the nearest run that has one. */
export const ownFillOf = (nearest: Run, storage: CacheStorage.Service, key: CacheKey): OwnFill | undefined => {
  for (const { ownFill } of enclosing(nearest)) {
    if (ownFill?.storage === storage && ownFill.key === key) return ownFill
  }
  return undefined
}

/** Whether a response that is made of these answers must not be shown to all users of this partition. */
export const isPersonal = ({ personal }: Run, partition: string): boolean =>
  partition === "" ? personal.size > 0 : [...personal].some((other) => other !== "" && other !== partition)

/** Milliseconds. */
export const annotate = (expiry: number): Effect.Effect<void> =>
  Effect.map(EnclosingCache, (nearest) => {
    if (nearest.depth >= 0) nearest.expiry = expiry
  })
