/** An API with cached routes: `npm start`, then the curl lines that it prints. */
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Context, Effect, Layer, Option, Schema } from "effect"
import {
  type CacheStorage,
  type CollectableCacheStorage,
  HttpCache,
  HttpCacheInspector,
  withCache,
  withCollect
} from "effect-http-cache"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { storage } from "./storage.js"

class UserNotFound extends Schema.TaggedError<UserNotFound>()("UserNotFound", { id: Schema.String }) {
  [HttpServerRespondable.symbol]() {
    return HttpServerResponse.json({ error: "UserNotFound", id: this.id }, { status: 404 })
  }
}

export interface User {
  readonly id: string
  readonly name: string
  readonly version: number
}

export const someUsers: ReadonlyArray<User> = [
  { id: "1", name: "Ada", version: 1 },
  { id: "2", name: "Alan", version: 1 }
]

/** What a database would be. */
export class Users extends Context.Tag("Users")<Users, {
  readonly find: (id: string) => Effect.Effect<User | undefined>
  readonly save: (user: User) => Effect.Effect<void>
}>() {
  static readonly layer = Layer.sync(Users, () => {
    const users = new Map(someUsers.map((user) => [user.id, user]))
    return {
      find: (id) => Effect.sync(() => users.get(id)),
      save: (user) => Effect.sync(() => void users.set(user.id, user))
    }
  })
}

/** How often each handler has run. */
export class HandlerRuns extends Context.Tag("HandlerRuns")<HandlerRuns, { readonly counts: Map<string, number> }>() {
  static readonly layer = Layer.sync(HandlerRuns, () => ({ counts: new Map() }))
}

const countRun = (handler: string) =>
  Effect.map(HandlerRuns, ({ counts }) => counts.set(handler, (counts.get(handler) ?? 0) + 1))

const findUser = Effect.gen(function*() {
  const { id } = yield* HttpRouter.schemaPathParams(Schema.Struct({ id: Schema.String }))
  const user = yield* (yield* Users).find(id)
  return user ?? (yield* new UserNotFound({ id }))
})

const etag = (user: { readonly version: number }) => `"v${user.version}"`

const getUser = Effect.gen(function*() {
  yield* countRun("GET /users/:id")
  yield* Effect.sleep("200 millis")
  const user = yield* findUser
  return yield* HttpServerResponse.json(user, { headers: { etag: etag(user) } })
})

const patchUser = Effect.gen(function*() {
  yield* countRun("PATCH /users/:id")
  const { name } = yield* HttpServerRequest.schemaBodyJson(Schema.Struct({ name: Schema.NonEmptyString }))
  const user = yield* findUser
  const renamed = { ...user, name, version: user.version + 1 }
  yield* (yield* Users).save(renamed)
  return yield* HttpServerResponse.json(renamed, { headers: { etag: etag(renamed) } })
})

const userValidators = findUser.pipe(
  Effect.map((user) => ({ etag: etag(user) })),
  Effect.catchTag("UserNotFound", () => Effect.succeed(undefined))
)

const greetings = { en: "Hello", fr: "Bonjour", de: "Guten Tag" }

const getGreeting = Effect.gen(function*() {
  yield* countRun("GET /greeting")
  const { headers } = yield* HttpServerRequest.HttpServerRequest
  const asked = (headers["accept-language"] ?? "").slice(0, 2).toLowerCase()
  const language = asked === "fr" || asked === "de" ? asked : "en"
  return HttpServerResponse.text(`${greetings[language]}\n`, { headers: { "content-language": language } })
})

const getMe = Effect.gen(function*() {
  yield* countRun("GET /me")
  const { headers } = yield* HttpServerRequest.HttpServerRequest
  return headers["authorization"] === undefined
    ? HttpServerResponse.empty({ status: 401, headers: { "www-authenticate": "Bearer" } })
    : yield* HttpServerResponse.json({ you: headers["authorization"] })
})

const getHandlerRuns = Effect.flatMap(
  HandlerRuns,
  ({ counts }) => HttpServerResponse.json(Object.fromEntries(counts))
)

export const router = HttpRouter.empty.pipe(
  HttpRouter.get("/users/:id", getUser.pipe(withCache({ expiry: 10 }))),
  HttpRouter.patch("/users/:id", patchUser.pipe(HttpCache.withPreconditions(userValidators), withCollect())),
  HttpRouter.get("/greeting", getGreeting.pipe(withCache({ expiry: 60, vary: ["Accept-Language"] }))),
  HttpRouter.get("/me", getMe.pipe(withCache({ cacheControl: "private" }))),
  HttpRouter.get("/handler-runs", getHandlerRuns)
)

type Services = HandlerRuns | Users | CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage

export const services = Layer.mergeAll(HandlerRuns.layer, Users.layer, storage)

const port = Config.string("PORT").pipe(
  Config.withDefault("3000"),
  Effect.map(Number),
  Effect.filterOrFail(
    (port) => Number.isInteger(port) && port >= 0 && port <= 65535,
    () => "PORT: it must be a number from 0 to 65535"
  )
)

const introduction = (address: string) =>
  `Listening on ${address}. Try, in this order:

  curl -i ${address}/users/1                                 # 200 ms; again within 10 s: a hit, at once
  curl -i -H 'If-None-Match: "v1"' ${address}/users/1        # 304: you have it already
  curl -i -X PATCH -H 'If-Match: "v1"' -d '{"name":"Grace"}' ${address}/users/1   # collects; again: 412
  curl ${address}/handler-runs                               # how often each handler has run

  ${address}/inspector shows what the cache does, to whoever is on this machine.
`

/** Whether a request comes from this machine itself, by a name of it: the name of another site could lead here. */
const isFromHere = Effect.map(
  HttpServerRequest.HttpServerRequest,
  ({ headers, remoteAddress }) =>
    /^(?:::ffff:)?127\.|^::1$/.test(Option.getOrElse(remoteAddress, () => "")) &&
    /^(?:localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?$/.test(headers["host"] ?? "")
)

const inspected = HttpCacheInspector.middleware({ path: "/inspector", authorize: isFromHere })

const server = Effect.gen(function*() {
  yield* HttpServer.serveEffect(inspected(router))
  const { address } = yield* HttpServer.HttpServer
  yield* Console.log(introduction("port" in address ? `http://localhost:${address.port}` : address.path))
  yield* Effect.never
})

/** The server with these services; whoever has others gives others. */
export const main = <E>(others: Layer.Layer<Services, E>) =>
  Effect.flatMap(port, (port) =>
    Effect.scoped(server).pipe(
      Effect.provide(NodeHttpServer.layer(createServer, { port })),
      Effect.catchTag(
        "ServeError",
        ({ cause }) =>
          Effect.fail(`Can't listen on port ${port}: ${String(cause)}; try another, as in PORT=3001 npm start`)
      ),
      // Outermost: it closes after the server.
      Effect.provide(others)
    )).pipe(
      Effect.catchAll((error) =>
        Effect.zipRight(
          Console.error(String(error)),
          Effect.sync(() => process.exitCode = 1)
        )
      )
    )

if (process.argv[1] === fileURLToPath(import.meta.url)) NodeRuntime.runMain(main(services))
