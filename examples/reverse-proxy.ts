/**
 * A caching reverse proxy: `ORIGIN=http://127.0.0.1:8000 PORT=8080 npx tsx --max-semi-space-size=4 examples/reverse-proxy.ts`
 *
 * The flag keeps down what downloads leave to be collected.
 *
 * `HttpCache.middleware()` around a handler that forwards: see `reverse-proxy/proxy.ts`.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { HttpCache } from "effect-http-cache"
import { layer } from "./reverse-proxy/proxy.js"
import { storage } from "./storage.js"

const help = `
  ORIGIN          where to forward to, such as http://127.0.0.1:8000
  PORT            where to listen; 8080 if unset
  COOKIES         a response that sets cookies: refuse (to store it), strip, or store; refuse if unset
  TARGETS         targeted fields to obey, with commas between; CDN-Cache-Control if unset
  LANE            whether fresh hits are answered before the server, true or false; false if unset
  STALE_IF_ERROR  how long a stale response stands in for a broken origin, such as "1 hour"; "1 day" if unset
  STORAGE         where to store: redis://host:port, postgres://host:port/name or sqlite:file; in memory if unset
  STORAGE_TIMEOUT how long a request waits for it, for each call; "250 millis" if unset
`

const settings = Config.all({
  origin: Config.url("ORIGIN").pipe(
    Config.validate({
      message: "expected http:// or https://, a host, and no path",
      validation: ({ href, origin, protocol }) => /^https?:$/.test(protocol) && href === `${origin}/`
    })
  ),
  port: Config.port("PORT").pipe(Config.withDefault(8080)),
  cookies: Config.literal("refuse", "strip", "store")("COOKIES").pipe(Config.withDefault("refuse" as const)),
  targets: Config.array(Config.string(), "TARGETS").pipe(Config.withDefault(["CDN-Cache-Control"])),
  lane: Config.boolean("LANE").pipe(Config.withDefault(false)),
  staleIfError: Config.duration("STALE_IF_ERROR").pipe(Config.withDefault("1 day" as const))
})

const storageTimeout = Config.duration("STORAGE_TIMEOUT").pipe(Config.withDefault("250 millis" as const))

const defaults = Layer.effect(HttpCache.Defaults, Effect.map(storageTimeout, (storageTimeout) => ({ storageTimeout })))

const server = Effect.flatMap(
  settings,
  (options) => Layer.launch(Layer.provide(layer(options), Layer.merge(storage, defaults)))
)

const main = server.pipe(
  Effect.catchTag("ServeError", ({ cause }) => Effect.fail(String(cause))),
  Effect.catchAll((error) =>
    Effect.zipRight(
      Console.error(typeof error === "string" ? error : `${String(error)}\n${help}`),
      Effect.sync(() => process.exitCode = 1)
    )
  )
)

NodeRuntime.runMain(process.argv.includes("--help") ? Console.log(help) : main)
