/** An inspector around an app that a router mounts beneath a prefix. */
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpCacheInspector, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { counted, mounted, routes } from "./harness.js"
import { asking, words } from "./inspectorApp.js"

it.effect("201: an inspector beneath a mount explains requests as the server is asked them", () =>
  Effect.gen(function*() {
    const shop = routes({ "GET /users/:id": counted().pipe(withCache({ expiry: 60 })) }).pipe(
      HttpCacheInspector.middleware({ path: "/inspector", unguarded: true })
    )
    const app = mounted({ "/api": shop })
    const { status, text } = yield* asking(app, "/api/inspector")
    // The first request of a process may have been copied before the cache saw it, and is not stored.
    for (let time = 0; time < 2; time++) yield* status("/api/users/1")
    expect(yield* status("/api/users/1")).toMatch(/^hit/)
    const explained = (url: string) => Effect.map(text(`/api/inspector/explain?url=${url}`), words)
    const page = yield* explained("/api/users/1")
    expect(page).toContain("It is answered with what is stored")
    expect(page).toContain("Key http://localhost/api/users/1 ")
    expect(yield* explained("/api/users/2")).toContain("nothing is stored for the URI")
    for (const elsewhere of ["/users/1", "/apiary/users/1", "/api"]) {
      expect(yield* explained(elsewhere)).toContain("No cache saw the request")
    }
  }).pipe(Effect.provide(Layer.fresh(InMemoryCacheStorage.layerCollectable))))
