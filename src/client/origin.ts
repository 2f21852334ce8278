/** The binding to the platform's client: one request of it, and the client beneath that answers. */
import type { HttpClientRequest } from "@effect/platform/HttpClientRequest"
import type { HttpClientResponse } from "@effect/platform/HttpClientResponse"
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Body from "../engine/body.js"
import { RunBeneath } from "../engine/enclosing.js"
import {
  type Handled,
  type Identity,
  type Origin,
  type Outgoing,
  type OwnFill,
  type Passed,
  type Route,
  type Run
} from "../engine/origin.js"
import type * as invalidate from "../engine/invalidate.js"
import type { Policy } from "../policy/policy.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Fields from "../protocol/Fields.js"
import { errorOf, millisOf } from "../runtime/effect.js"
import { isUnsent, refusedOf } from "./platform.js"
import * as requests from "./request.js"
import * as responses from "./response.js"

type Response = HttpClientResponse

/** What is the same for each request of a client. */
export interface Client<E, R> {
  readonly send: (request: HttpClientRequest) => Effect.Effect<Response, E, R>
  readonly policy: Policy
}

/** No cache of a server around the request learns of it: what is fetched from elsewhere is not its response. */
const above: Run = { depth: -1, origin: "", personal: new Set() }

/** A request that never left is no error of who was to answer it. */
const statusOf = (cause: Cause.Cause<unknown>): number => {
  const error = errorOf(cause)
  return refusedOf(error)?.status ?? (isUnsent(error) ? 400 : 502)
}

/** Who did not hear an answer does not know whether something was changed. */
export const changedBy = (cause: Cause.Cause<unknown>): Omit<invalidate.Changed, "more"> => {
  const status = statusOf(cause)
  const fields = refusedOf(errorOf(cause))?.headers
  return fields !== undefined || status === 400 ? { status, fields: fields ?? {} } : { status: 200, fields: {} }
}

export class ClientOrigin<E, R> implements Origin<Response, E, R> {
  readonly asker = undefined
  /** That of the caller may be of many requests. */
  readonly span = undefined
  readonly pattern = undefined
  readonly isBypassed = false
  readonly isNested = false
  /** Content is no part of what is asked for: a `QUERY` passes by. */
  readonly readContent = Effect.succeed(undefined)
  private readonly client: Client<E, R>
  private readonly arrived: requests.Arrived
  private readonly clock: Clock.Clock
  /** What is done around a request that changes something. */
  private readonly changing: (sent: Effect.Effect<Response, E, R>) => Effect.Effect<Response, E, R>
  /** It is not asked whether what is stored is still current. */
  private readonly isReload: boolean

  constructor(
    client: Client<E, R>,
    arrived: requests.Arrived,
    clock: Clock.Clock,
    isReload: boolean,
    changing: (sent: Effect.Effect<Response, E, R>) => Effect.Effect<Response, E, R> = (sent) => sent
  ) {
    this.client = client
    this.arrived = arrived
    this.clock = clock
    this.isReload = isReload
    this.changing = changing
  }

  get view() {
    return this.arrived.view
  }

  get identity(): Identity {
    return { partition: this.client.policy.shared ? "" : this.arrived.user, reads: undefined }
  }

  get identify(): Effect.Effect<Identity> {
    return Effect.succeed(this.identity)
  }

  with(changing: (sent: Effect.Effect<Response, E, R>) => Effect.Effect<Response, E, R>): ClientOrigin<E, R> {
    return new ClientOrigin(this.client, this.arrived, this.clock, this.isReload, changing)
  }

  forNobody(fields: Fields.Fields): ClientOrigin<E, R> {
    const refreshing = requests.refreshing(this.arrived, fields, this.client.policy.shared)
    return new ClientOrigin(this.client, refreshing, this.clock, false)
  }

  ask(fields: Fields.Fields): Effect.Effect<Handled<Response>, E, R> {
    const asked = this.isReload ? Fields.only(fields, Object.keys(this.view.fields)) : fields
    const request = requests.sending(this.arrived, asked)
    return Effect.flatMap(this.sent(request), ({ close, response }) => {
      const responseTime = millisOf(this.clock)
      const answer = responses.toAnswer(response, request, responseTime)
      const { body } = answer
      const handled = {
        response,
        answer: { ...answer, body: closing(body, close) },
        isFromBeneath: false,
        isSent: false,
        said: new RunBeneath(above, this.view.target.origin),
        reads: undefined,
        setsPreResponseHandler: false,
        responseTime,
        shown: fields
      }
      if (body._tag !== "Bytes") return Effect.succeed(handled)
      // A connection is free again once its response was read, also where that has no content.
      const read = Effect.ignore(Stream.runDrain(responses.contentOf(response).stream))
      return Effect.as(Effect.ensuring(read, close), handled)
    })
  }

  /** It has a scope of its own, which closes with the content: the scope of who asked may be that of a whole program. */
  private sent(request: HttpClientRequest) {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Scope.make(), (scope) => {
        const close = (exit: Exit.Exit<unknown, unknown>) => Scope.close(scope, exit)
        const sent = restore(Effect.provideService(this.client.send(request), Scope.Scope, scope))
        return Effect.matchCauseEffect(sent as Effect.Effect<Response, E, R>, {
          onSuccess: (response) => Effect.succeed({ response, close: close(Exit.void) }),
          onFailure: (cause) => {
            const refused = refusedOf(errorOf(cause))
            // An answer to our question is no failure.
            return refused?.status === 304
              ? Effect.succeed({ response: refused, close: close(Exit.void) })
              : Effect.andThen(close(Exit.failCause(cause)), Effect.failCause(cause))
          }
        })
      })
    )
  }

  pass(
    onFailure: (cause: Cause.Cause<E>) => Effect.Effect<void>,
    ownFill: OwnFill | undefined
  ): Effect.Effect<Passed<Response>, E, R> {
    const { request } = this.arrived
    return Effect.matchCauseEffect(this.changing(this.client.send(request)), {
      onFailure: (cause) => Effect.andThen(onFailure(cause), Effect.failCause(cause)),
      onSuccess: (response) =>
        Effect.succeed({
          ran: {
            response,
            isFromBeneath: false,
            isSent: false,
            setsPreResponseHandler: false,
            said: new RunBeneath(above, this.view.target.origin, ownFill)
          },
          shown: this.view.fields,
          target: CacheKey.pathOf(this.view.target),
          fields: response.headers,
          answer: () => responses.toAnswer(response, request, millisOf(this.clock)),
          send: (fields: Fields.Fields) => responses.amend(response, fields)
        })
    })
  }

  respond(outgoing: Outgoing): Response {
    const { client: { policy }, arrived: { request } } = this
    return responses.fromOutgoing(outgoing, request, policy.maxBodyBytes)
  }

  amend(response: Response, fields: Fields.Fields): Response {
    return responses.amend(response, fields)
  }

  statusOf(cause: Cause.Cause<E>): Effect.Effect<number> {
    return Effect.succeed(statusOf(cause))
  }

  /** No response is made of a failure. */
  tellOfFailure(_: unknown, __: unknown, report: () => void): Effect.Effect<void> {
    return Effect.sync(report)
  }

  get route(): Route {
    return { handler: this.client, place: "" }
  }

  /** No handler is recorded, no connection is held, and none is told who left. */
  countAsRead(): void {}

  breakConnection(): void {}

  isClientGone(): boolean {
    return false
  }
}

/** The body, with whose end this is closed. */
const closing = (body: Body.Body, close: Effect.Effect<void>): Body.Body => {
  if (body._tag === "Bytes") return body
  const closed = { ...body, close: Effect.ensuring(body.close, close) }
  return closed._tag === "Stream"
    ? Body.through(closed, (stream) => Stream.ensuring(stream, close))
    : { ...closed, native: responses.ending(closed.native as Response, close) }
}
