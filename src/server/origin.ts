/** The binding to the platform's server: one request of it, with the handler that answers. */
import type * as Headers from "@effect/platform/Headers"
import { RouteContext } from "@effect/platform/HttpRouter"
import { HttpServerRequest, ParsedSearchParams } from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import * as Body from "../engine/body.js"
import { EnclosingCache, giveGroups, isAnswerBeneath, RunBeneath } from "../engine/enclosing.js"
import { Handled, type Ran } from "../engine/origin.js"
import type { Identity, Origin, Outgoing, OwnFill, Passed, Route, Run, View } from "../engine/origin.js"
import { groupsOf } from "../policy/checks.js"
import type { ServerPolicy } from "../policy/policy.js"
import * as Answers from "../protocol/Answer.js"
import * as Fields from "../protocol/Fields.js"
import type { Reads } from "../protocol/Reads.js"
import type * as Vary from "../protocol/Vary.js"
import { adding, isInterruptedOnly, millisOf, serviceIn, step, withFiber, withServices } from "../runtime/effect.js"
import type { Trace } from "../runtime/trace.js"
import * as ServerBody from "./body.js"
import * as failures from "./failures.js"
import { handOver, hasAnswered, linkCopies, Shown, takeBack } from "./handOver.js"
import * as misplaced from "./misplaced.js"
import { isClientGone, type Respondable, senderOf, toResponse } from "./platform.js"
import * as recorder from "./recorder.js"
import * as requests from "./request.js"
import * as responses from "./response.js"

type Response = HttpServerResponse.HttpServerResponse

/** What a span of a client's is named by. */
const traceFields = ["traceparent", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"]

export class ServerOrigin<A extends Respondable, E, R> implements Origin<Response, E, R> {
  readonly view: View
  private readonly handler: Effect.Effect<A, E, R>
  private readonly request: HttpServerRequest
  private readonly policy: ServerPolicy<R>
  private readonly context: Context.Context<never>
  private readonly clock: Clock.Clock
  /** What the handler is made of, which is the same for each request. */
  private readonly given: object
  /** The client's own request, which others may hold, also where the handler is shown nobody's. */
  private readonly native: HttpServerRequest

  constructor(
    handler: Effect.Effect<A, E, R>,
    request: HttpServerRequest,
    policy: ServerPolicy<R>,
    context: Context.Context<never>,
    clock: Clock.Clock,
    view: View = requests.view(request, policy.origin, policy.normalising),
    given: object = handler,
    native: HttpServerRequest = request
  ) {
    this.handler = handler
    this.request = request
    this.policy = policy
    this.context = context
    this.clock = clock
    this.view = view
    this.given = given
    this.native = native
  }

  get asker(): Trace | undefined {
    const { fields } = this.view
    if (!traceFields.some((name) => Fields.get(fields, name) !== undefined)) return undefined
    return Option.getOrUndefined(HttpTraceContext.fromHeaders(Fields.only(fields, traceFields) as Headers.Headers))
  }

  get span(): Tracer.AnySpan | undefined {
    return serviceIn(this.context, Tracer.ParentSpan)
  }

  private get routed() {
    return serviceIn(this.context, RouteContext)?.route
  }

  get pattern(): string | undefined {
    return this.routed?.path
  }

  get isNested(): boolean {
    return Context.get(this.context, EnclosingCache).depth >= 0
  }

  get isBypassed(): boolean {
    if (misplaced.isSending(senderOf(this.policy, this.given))) return true
    try {
      return this.policy.bypass?.(this.request) ?? false
    } catch {
      return true
    }
  }

  get identify(): Effect.Effect<Identity | undefined, never, R> {
    const { partition: named } = this.policy
    if (named === undefined) return Effect.succeed({ partition: "", reads: undefined })
    return Effect.map(recorder.recording(named, this.request, this.view), ({ exit, reads }) => {
      // `undefined` is nobody. A failure, or what is no text, leaves it unknown who asks.
      const partition: unknown = Exit.isFailure(exit) ? null : exit.value === undefined ? "" : exit.value
      return typeof partition === "string" ? { partition, reads } : undefined
    })
  }

  get readContent() {
    return requests.readContent(this.request).pipe(
      Effect.map((read) => read === undefined ? undefined : { origin: this.with(read.request), content: read.content }),
      Effect.orElseSucceed(() => undefined)
    )
  }

  private with(request: HttpServerRequest, view: View = this.view): ServerOrigin<A, E, R> {
    const { clock, context, given, handler, native, policy } = this
    return new ServerOrigin(handler, request, policy, context, clock, view, given, native)
  }

  forNobody(fields: Fields.Fields): ServerOrigin<A, E, R> {
    const view = { ...this.view, method: "GET", fields, condition: undefined }
    return this.with(requests.withOnly(this.request, this.view, fields), view)
  }

  ask(
    fields: Fields.Fields,
    onFailure: (reads: Reads | undefined, said: Run) => void,
    question: Fields.Fields | undefined
  ): Effect.Effect<Handled<Response>, E, R> {
    const { policy } = this
    const shown = recorder.show(this.request, this.view, fields, policy)
    return this.run(
      shown,
      { question },
      policy.targets,
      (_, said) => Effect.sync(() => onFailure(shown.reads, said)),
      (ran) => {
        const { isFromBeneath, isSent, response, responseTime, said } = ran
        const answer = ServerBody.goingOn(responses.toAnswer(response, this.view.method, policy, responseTime), said)
        const handled = new Handled(ran, answer, fields)
        const isDropped = Answers.hasNoContent(response.status) && !isFromBeneath && !isSent
        const done = isDropped ? Body.discard(ServerBody.fromPlatform(response.body, {})) : Effect.void
        const named = isFromBeneath || isSent ? Effect.void : this.nameGroups(response, said)
        return step(named, () => step(done, () => Exit.succeed(handled)))
      }
    )
  }

  pass(
    onFailure: (cause: Cause.Cause<E>) => Effect.Effect<void>,
    ownFill: OwnFill | undefined
  ): Effect.Effect<Passed<Response>, E, R> {
    const { headers: shown, method, originalUrl: target } = this.request
    return this.run(
      new Shown(this.request),
      { ownFill },
      [],
      onFailure,
      (ran) => {
        const { isFromBeneath, isSent, response, responseTime, said } = ran
        const { body } = response
        const fields = Fields.texts(response.headers)
        const answer = () => {
          const passing = { ...this.policy, etag: "none", cookies: "store" } as const
          return responses.toAnswer(response, "GET", passing, responseTime)
        }
        const isStream = body._tag === "Stream" && !isFromBeneath && !isSent
        const engineBody = isStream ? ServerBody.fromPlatform(body, {}) : undefined
        const isDropped = method === "HEAD" && !this.isNested
        const send = (own: Fields.Fields) =>
          responses.amend(responses.guarded(response, engineBody, isDropped, () => this.breakConnection()), own)
        const passed = { ran, shown, target, fields, answer, send }
        if (ownFill !== undefined) return Effect.as(this.nameGroups(response, said), passed)
        if (!isDropped || isSent) return Exit.succeed(passed)
        return step(Body.discard(engineBody ?? ServerBody.fromPlatform(body, {})), () => Exit.succeed(passed))
      }
    )
  }

  /** The groups that the route says the response is of. */
  private nameGroups(response: Response, said: Run): Effect.Effect<void> {
    const { groups } = this.policy
    if (groups.length === 0) return Effect.void
    return giveGroups(said, "groups", () => groups.flatMap((each) => groupsOf("groups", each(this.request, response))))
  }

  /** Runs the handler with the request that it is to see, in the place of the request itself, and goes on with the answer. */
  private run<B>(
    shown: Shown,
    { ownFill, question }: Pick<Run, "ownFill" | "question">,
    targets: ReadonlyArray<string>,
    onFailure: (cause: Cause.Cause<E>, said: Run) => Effect.Effect<void>,
    onSuccess: (ran: Ran<Response>) => Effect.Effect<B, E, R>
  ): Effect.Effect<B, E, R> {
    return withFiber((context, _, fiber) => {
      const { given, handler, native, request } = this
      const above = Context.get(context, EnclosingCache)
      const run: Run = new RunBeneath(above, this.view.target.origin, ownFill, question)
      if (shown.request !== request) {
        // Its copies of before can't be known.
        if (linkCopies(native) && this.view.isRewritten) run.isRefused = true
        handOver(native, shown, run)
        misplaced.carry(request, shown.request)
      }
      const isParsed = shown.searchParams !== undefined && serviceIn(context, ParsedSearchParams) !== undefined
      const inner = adding(
        context,
        [EnclosingCache, run],
        [HttpServerRequest, shown.request],
        ...(isParsed ? [[ParsedSearchParams, shown.searchParams] as const] : [])
      )
      const before = failures.preResponseHandlers(fiber)
      const warnedIf = (isSent: boolean): Effect.Effect<void> => {
        if (!isSent) return Effect.void
        // What the client has is not made once more.
        run.isForThisClient = false
        return misplaced.warn(senderOf(this.policy, given))
      }
      // The router has made the fiber of the request uninterruptible, but not that of a flight.
      const whole = this.routed?.uninterruptible === true ? Effect.uninterruptible(handler) : handler
      return withServices(Effect.flatMap(whole, toResponse), inner, {
        onFailure: (cause) => {
          takeBack(native, run)
          const warned = warnedIf(!isInterruptedOnly(cause) && misplaced.isSent(fiber, shown.request))
          return Effect.andThen(step(warned, () => onFailure(cause, run)), Effect.failCause(cause))
        },
        onSuccess: (answered) => {
          // A body that is still made may read more.
          if (isMade(answered.body)) takeBack(native, run)
          else hasAnswered(native, run)
          const isFromBeneath = isAnswerBeneath(run, answered.body)
          const isSent = misplaced.isSent(fiber, shown.request)
          const warned = warnedIf(isSent)
          const ran: Ran<Response> = {
            said: run,
            response: responses.annotated(answered, run, targets),
            isFromBeneath,
            isSent,
            reads: shown.reads,
            setsPreResponseHandler: before !== failures.preResponseHandlers(fiber),
            responseTime: millisOf(this.clock)
          }
          return step(failures.recovered(fiber), () => step(warned, () => onSuccess(ran)))
        }
      })
    })
  }

  countAsRead(names: Vary.Vary): void {
    recorder.countAsRead(this.request, names)
  }

  respond(outgoing: Outgoing): Response {
    return responses.fromOutgoing(outgoing, this.request)
  }

  amend(response: Response, fields: Fields.Fields): Response {
    return responses.amend(response, fields)
  }

  statusOf(cause: Cause.Cause<E>): Effect.Effect<number> {
    return failures.statusOf(cause, this.policy.statusOfError)
  }

  tellOfFailure(
    cause: Cause.Cause<E>,
    say: (fields: { [name: string]: string }) => void,
    report: () => void
  ): Effect.Effect<void> {
    return failures.tell(cause, this.policy, say, report)
  }

  /** A router has its routes once, but an `HttpApi` makes handlers for each request. */
  get route(): Route {
    const { routed, span } = this
    // The route of a router beneath is known by what the router tells the request's span; where there is none, its URIs
    // are told apart.
    const path = span?._tag === "Span" ? span.attributes.get("http.route") : undefined
    const isSingle = routed?.path.endsWith("*") === false
    return {
      handler: routed ?? this.given,
      place: typeof path === "string" ? path : isSingle ? "" : this.view.target.path
    }
  }

  breakConnection(): void {
    requests.breakOff(this.request.source as requests.Breakable)
  }

  isClientGone(cause: Cause.Cause<unknown>): boolean {
    return isClientGone(cause)
  }
}

const isMade = ({ _tag }: Response["body"]): boolean => _tag === "Empty" || _tag === "Uint8Array"
