/** Options are checked when the route is built: one sentence with what was given and what is expected. */
import { type HttpApp, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import {
  type CachePolicy,
  type CacheStorage,
  HttpCache,
  HttpClientCache,
  InMemoryCacheStorage,
  TieredCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import { HttpCacheLane } from "effect-http-cache/node"
import { SqlCacheStorage } from "effect-http-cache/sql"
import { createServer } from "node:http"
import { counted, serve, TestServer } from "./harness.js"

const seconds = "a number of seconds, 0 or more, or a Duration such as \"10 seconds\""
const hole: ReadonlyArray<unknown> = Array.from({ length: 0 }).concat(Array(1) as ReadonlyArray<unknown>)
const fieldNames = "a list of request field names, such as [\"Accept-Language\"]"

describe("withCache", () => {
  const wrong: ReadonlyArray<readonly [object, string]> = [
    [{ expiry: -1 }, `expiry is -1; it must be ${seconds}`],
    [{ expiry: NaN }, `expiry is NaN; it must be ${seconds}`],
    [{ expiry: "ten" }, `expiry is "ten"; it must be ${seconds}`],
    [{ expiry: "-1 seconds" }, `expiry is "-1 seconds"; it must be ${seconds}`],
    [{ expiry: null }, `expiry is null; it must be ${seconds}`],
    [{ sharedExpiry: -1, expiry: 1 }, `sharedExpiry is -1; it must be ${seconds}`],
    [{ cacheControl: "no-store" }, "cacheControl is \"no-store\"; it must be one of \"public\", \"private\""],
    [{ clients: "max-age" }, "clients is \"max-age\"; it must be one of \"expiry\", \"revalidate\", \"nothing\""],
    [{ vary: "Accept" }, `vary is "Accept"; it must be ${fieldNames}`],
    [{ vary: ["Accept Language"] }, `vary is ["Accept Language"]; it must be ${fieldNames}`],
    [{ vary: ["*"] }, `vary is ["*"]; it must be ${fieldNames}`],
    [{ unkeyed: "refused" }, "unkeyed is \"refused\"; it must be one of \"vary\", \"refuse\", \"ignore\""],
    [{ partition: "user" }, "partition is \"user\"; it must be an Effect that names whose response it is"],
    [{ query: "some" }, "query is \"some\"; it must be \"all\", \"none\", { only: [names] }"],
    [{ query: { only: ["q"], except: [] } }, "query is {\"only\":[\"q\"],\"except\":[]}; it must be"],
    [{ query: {} }, "query is {}; it must be"],
    [{ query: { sort: "asc" } }, "query is {\"sort\":\"asc\"}; it must be"],
    [{ query: { only: "q" } }, "query is {\"only\":\"q\"}; it must be"],
    [{ etag: true }, "etag is true; it must be one of \"strong\", \"weak\", \"none\""],
    [{ statuses: [206] }, "statuses is [206]; it must be a list of statuses from 200 to 599 without 206 and 304, or"],
    [{ statuses: { 404: "soon" } }, "statuses is {\"404\":\"soon\"}; it must be"],
    [{ statuses: { 206: 5 } }, "statuses is {\"206\":5}; it must be"],
    [{ statuses: { ok: 5 } }, "statuses is {\"ok\":5}; it must be"],
    [{ statuses: [200.5] }, "statuses is [200.5]; it must be"],
    [{ cookies: "keep" }, "cookies is \"keep\"; it must be one of \"refuse\", \"strip\", \"store\""],
    [{ requestDirectives: true }, "requestDirectives is true; it must be one of \"honor\", \"ignore\""],
    [{ bypass: true }, "bypass is true; it must be a function from the request to a boolean"],
    [{ maxBodyBytes: -1 }, "maxBodyBytes is -1; it must be a whole number of bytes, 0 or more"],
    [{ maxBodyBytes: "1 MB" }, "maxBodyBytes is \"1 MB\"; it must be"],
    [{ cacheStatus: "on" }, "cacheStatus is \"on\"; it must be false, or { name, detail, key }"],
    [{ cacheStatus: { name: "" } }, "cacheStatus is {\"name\":\"\"}; it must be"],
    [{ cacheStatus: { details: true } }, "cacheStatus is {\"details\":true}; it must be"],
    [{ cacheStatus: { detail: "yes" } }, "cacheStatus is {\"detail\":\"yes\"}; it must be"],
    [[], "the options are []; they must be an object"],
    [new Map([["expiry", 10]]), "the options are {}; they must be an object"],
    [{ statuses: new Map([[404, 5]]) }, "statuses is {}; it must be a list of statuses"],
    [{ statuses: new Set([404]) }, "statuses is {}; it must be a list of statuses"],
    [{ cacheStatus: new Map([["name", "edge"]]) }, "cacheStatus is {}; it must be false, or { name, detail, key }"],
    [{ vary: hole.concat("accept") }, `vary is [null,"accept"]; it must be ${fieldNames}`],
    [{ statuses: hole }, "statuses is [null]; it must be a list of statuses"],
    [{ query: { only: hole.concat("q") } }, "query is {\"only\":[null,\"q\"]}; it must be"],
    [{ expirey: 10 }, "there is no option expirey; there are name, expiry, sharedExpiry"]
  ]

  it.each(wrong)("170: refuses %j", (options, sentence) => {
    const build = () => withCache(options)
    expect(build).toThrow(TypeError)
    expect(build).toThrow(`withCache: ${sentence}`)
  })

  it.each([[["Cookie"]], [["accept", "AUTHORIZATION"]]])("refuses vary: %j, and names partition", (vary) => {
    expect(() => withCache({ expiry: 10, vary })).toThrow(
      /^withCache: vary is .*; it must be without Cookie and Authorization.*; the option partition keeps a copy for each user$/
    )
  })

  const names: ReadonlyArray<readonly [string, string]> = [
    ["", "is no name"],
    [" utm_medium", "is no name"],
    ["?utm", "is more than a name"],
    ["utm=", "is more than a name"],
    ["utm=1", "is more than a name"],
    ["a&b", "is more than a name"],
    ["utm_*_x", "is no pattern; a * ends the beginning of names"],
    ["*", "is every name"],
    ["caf%C3%A9", "is encoded; a name is written as it reads after decoding"]
  ]

  it.each(names)("93: a name of a search parameter is a name: %j", (name, reason) => {
    for (const query of [{ only: [name] }, { except: ["q", name] }]) {
      const sentence = `query is ${JSON.stringify(query)}; it must be made of names of search parameters; ` +
        `${JSON.stringify(name)} ${reason}`
      expect(() => withCache({ query })).toThrow(new TypeError(`withCache: ${sentence}`))
      expect(() => withCollect({ query })).toThrow(new TypeError(`withCollect: ${sentence}`))
      expect(() => HttpCache.middleware({ query })).toThrow(new TypeError(`HttpCache.middleware: ${sentence}`))
      expect(() => HttpCache.defaults({ query })).toThrow(new TypeError(`HttpCache.defaults: ${sentence}`))
    }
  })

  it.each([["q"], ["filter[a]"], ["a b"], ["c++"], ["q%"], ["ü"], ["__proto__"], ["a?b"], ["utm_*"]])(
    "93: and what may be one is taken: %j",
    (name) => {
      expect(() => withCache({ query: { only: [name, name] } })).not.toThrow()
    }
  )

  it.each([[{ vary: ["X-*"] }], [{ targets: ["CDN-*"] }]])("93: no list of names takes a pattern: %j", (options) => {
    expect(() => withCache(options)).toThrow(/^withCache: \w+ is .*; it must be a list of re\w+ field names, such as/)
  })

  it("says what no JSON can say", () => {
    expect(() => withCache({ maxWaiters: 5n as never })).toThrow(
      "maxWaiters is 5n; it must be a whole number, 0 or more"
    )
  })

  it.each([["0"], [0], [Infinity], ["1 week"], [undefined]])("takes what it should: expiry %s", (expiry) => {
    if (expiry === "0") return expect(() => withCache({ expiry: "0" as "0 seconds" })).toThrow("expiry is \"0\"")
    expect(() => withCache({ expiry: expiry as number })).not.toThrow()
  })
})

describe("162: options of a class, or that are changed later", () => {
  const inherited = (options: object): object => Object.create(options) as object
  const builds = {
    "withCache": (options: object) => withCache(options),
    "HttpCache.middleware": (options: object) => HttpCache.middleware(options),
    "HttpCache.defaults": (options: object) => HttpCache.defaults(options),
    "HttpClientCache": (options: object) => HttpClientCache.layer(options)
  }

  it.each(Object.entries(builds))("%s checks them as others", (where, build) => {
    class Wrong {
      get staleIfError() {
        return "ten"
      }
    }
    for (const options of [new Wrong(), inherited({ staleIfError: "ten" })]) {
      expect(() => build(options)).toThrow(new TypeError(`${where}: staleIfError is "ten"; it must be ${seconds}`))
    }
  })

  it("a storage checks them too, and takes them", () => {
    expect(() => InMemoryCacheStorage.make(inherited({ maxItems: 0 }))).toThrow(
      "InMemoryCacheStorage: maxItems is 0; it must be a whole number, 1 or more"
    )
  })

  class Short {
    get expiry() {
      return 10
    }
  }

  const applied: ReadonlyArray<readonly [string, () => HttpApp.Default<never, CacheStorage.CacheStorage>]> = [
    ["withCache", () => counted().pipe(withCache(new Short()))],
    ["HttpCache.defaults", () => counted().pipe(withCache(), Effect.provide(HttpCache.defaults(new Short())))],
    ["what is changed later", () => {
      const options = { expiry: 10 }
      const app = counted().pipe(withCache(options))
      options.expiry = -1
      return app
    }]
  ]

  it.scoped.each(applied)("%s: as they were when the route was built", ([, app]) =>
    Effect.gen(function*() {
      const ask = yield* serve(app())
      yield* ask("/")
      const { cacheStatus, headers } = yield* ask("/")
      expect([cacheStatus, headers["cache-control"]]).toEqual(["hit; ttl=10", "max-age=10"])
    }).pipe(Effect.provide(TestServer)))
})

describe("188: what is within options, changed later", () => {
  const list = ["x"]
  const varying = { field: "x-a", as: (value?: string) => value }
  const statuses = { 200: 0 }
  const changed: ReadonlyArray<readonly [string, CachePolicy.Options, () => unknown, string]> = [
    ["query.except", { query: { except: list } }, () => list.push("q"), "/?q=1"],
    ["query.only", { query: { only: list } }, () => list.splice(0), "/?x=1"],
    ["a list", { vary: list }, () => list.splice(0), "/"],
    ["a member of a list", { vary: [varying] }, () => varying.field = "x-b", "/"],
    ["an object", { statuses }, () => statuses[200] = 10, "/"]
  ]

  it.scoped.each(changed)(
    "is as it was when the route was built: %s",
    ([, given, change, path]) =>
      Effect.gen(function*() {
        list.splice(0, list.length, "x")
        const app = counted().pipe(withCache({ expiry: 10, unkeyed: "ignore", ...given }))
        change()
        const ask = yield* serve(app)
        yield* ask("/")
        expect((yield* ask(path, { headers: { "x-a": "1", "x": "1" } })).text).toBe("run 2")
      }).pipe(Effect.provide(TestServer))
  )
})

describe("164: each says what is wrong by its own name", () => {
  const memory = InMemoryCacheStorage.make()
  // Each is given what its types refuse.
  const builds: ReadonlyArray<readonly [string, (options: never) => unknown, unknown, string]> = [
    ["HttpCache.make", HttpCache.make, { expirey: 1 }, "there is no option expirey; there are name"],
    ["HttpCache.routerMiddleware", HttpCache.routerMiddleware, { expirey: 1 }, "there is no option expirey"],
    ["HttpCache.middleware", HttpCache.middleware, Effect.void, "the options are an app; put it around that"],
    ["InMemoryCacheStorage", InMemoryCacheStorage.make, { max: 1 }, "there is no limit max; there are maxBytes"],
    ...([
      [{ farTimeot: 1 }, "there is no option farTimeot; there are farTimeout"],
      [{ farTimeout: NaN }, "farTimeout is NaN; it must be a positive number of seconds"],
      [{ farTimeout: "5" }, "farTimeout is \"5\"; it must be"],
      [null, "the options are null; they must be an object"]
    ] as const).map(([options, sentence]) =>
      [
        "TieredCacheStorage",
        (given: never) => TieredCacheStorage.make(memory, memory as never, given),
        options,
        sentence
      ] as const
    ),
    ...([
      [{ onhit: 1 }, "there is no option onhit; there are onHit, span"],
      [{ onHit: true }, "onHit is true; it must be a function of the hit"],
      [{ span: "yes" }, "span is \"yes\"; it must be true or false"]
    ] as const).map(([options, sentence]) =>
      [
        "HttpCacheLane.createServer",
        (given: never) => HttpCacheLane.createServer(createServer, given),
        options,
        sentence
      ] as const
    ),
    [
      "SqlCacheStorage.schema",
      (given: never) => SqlCacheStorage.schema(given),
      "mysql",
      "the dialect is \"mysql\"; it must be"
    ]
  ]

  it.each(builds)("%s", (where, build, options, sentence) => {
    expect(() => build(options as never)).toThrow(TypeError)
    expect(() => build(options as never)).toThrow(`${where}: ${sentence}`)
  })

  it.scoped("withPreconditions: a date that is none is no reason to let a write pass", () => {
    const current = Effect.succeed({ lastModified: new Date("yesterday") })
    return Effect.gen(function*() {
      const ask = yield* serve(
        HttpServerResponse.text("written").pipe(
          HttpCache.withPreconditions(current),
          Effect.catchAllDefect((defect) => Effect.succeed(HttpServerResponse.text(String(defect), { status: 500 })))
        )
      )
      const headers = { "if-unmodified-since": "Thu, 01 Jan 1970 00:00:00 GMT" }
      expect((yield* ask("/", { method: "PUT", headers })).text).toBe(
        "Error: withPreconditions: lastModified is an Invalid Date; it must be a date, or left out"
      )
    }).pipe(Effect.provide(TestServer))
  })
})

describe("withCollect", () => {
  it.each([
    [{ also: 5 }, "also is 5; it must be a function from the request and the response to a list of URIs"],
    [{ allso: [] }, "there is no option allso; there are query, also"],
    [{ query: "some" }, "query is \"some\"; it must be"]
  ])("refuses %j", (options, sentence) => {
    expect(() => withCollect(options as object)).toThrow(`withCollect: ${sentence}`)
  })
})

describe("Defaults", () => {
  const wrong: ReadonlyArray<readonly [object, string]> = [
    [{ origin: "api.example.com" }, "origin is \"api.example.com\"; it must be \"request\", or scheme and host"],
    [{ origin: "https://api.example.com/" }, "origin is \"https://api.example.com/\"; it must be"],
    [{ origin: "https://*.example.com" }, "origin is \"https://*.example.com\"; it must be"],
    [{ origin: "ftp://example.com" }, "origin is \"ftp://example.com\"; it must be"],
    [{ version: "" }, "version is \"\"; it must be a text that isn't empty"],
    [{ enabled: false }, "enabled is false; it must be an Effect that answers a boolean"],
    [{ unkeyed: true }, "unkeyed is true; it must be one of"],
    [{ vary: ["Cookie"] }, "vary is [\"Cookie\"]; it must be without Cookie"],
    [{ storageTimeout: "soon" }, `storageTimeout is "soon"; it must be ${seconds}`],
    [{ vary: hole.concat("accept") }, `vary is [null,"accept"]; it must be ${fieldNames}`],
    [{ statuses: hole }, "statuses is [null]; it must be a list of statuses"],
    [{ query: { only: hole.concat("q") } }, "query is {\"only\":[null,\"q\"]}; it must be"],
    [{ expirey: 10 }, "there is no option expirey; there are expiry"],
    [["Accept"], "the options are [\"Accept\"]; they must be an object"]
  ]

  it.scoped.each(wrong)("%j: the first request says what is wrong", ([defaults, sentence]) =>
    Effect.gen(function*() {
      const ask = yield* serve(
        Effect.succeed(HttpServerResponse.text("x")).pipe(
          withCache({ expiry: 10 }),
          Effect.catchAllDefect((defect) => Effect.succeed(HttpServerResponse.text(String(defect)))),
          Effect.provideService(HttpCache.Defaults, defaults)
        )
      )
      expect((yield* ask("/")).text).toContain(`TypeError: HttpCache.Defaults: ${sentence}`)
    }).pipe(Effect.provide(TestServer)))

  it.each(wrong)("93: %j: HttpCache.defaults says at the start what is wrong", (options, sentence) => {
    const build = () => HttpCache.defaults(options)
    expect(build).toThrow(TypeError)
    expect(build).toThrow(`HttpCache.defaults: ${sentence}`)
  })

  it.each([[undefined], [null], ["https://api.example.com"], [5], [() => ({})]])(
    "93: %s is no record of options",
    (options) => {
      expect(() => HttpCache.defaults(options as never)).toThrow(
        /^HttpCache.defaults: the options are .*; they must be/
      )
    }
  )

  it.scoped("93: HttpCache.defaults is in force for the routes that it is provided to", () =>
    Effect.gen(function*() {
      const options = { expiry: 60, cacheStatus: { name: "edge" } }
      const layer = HttpCache.defaults(options)
      options.expiry = -1
      const route = Effect.succeed(HttpServerResponse.text("x")).pipe(withCache())
      const ask = yield* serve(Effect.provide(route, layer))
      expect((yield* ask("/")).headers["cache-control"]).toBe("max-age=60")
      expect((yield* ask("/")).headers["cache-status"]).toBe("edge; hit; ttl=60")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a route's own options come first, then Defaults", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        Effect.succeed(HttpServerResponse.text("x")).pipe(
          withCache({ expiry: 10 }),
          Effect.provideService(HttpCache.Defaults, {
            expiry: 60,
            clients: "revalidate",
            cacheStatus: { name: "edge" }
          })
        )
      )
      expect((yield* ask("/")).headers["cache-control"]).toBe("no-cache")
      expect((yield* ask("/")).headers["cache-status"]).toBe("edge; hit; ttl=10")
    }).pipe(Effect.provide(TestServer)))
})

describe("InMemoryCacheStorage.layerWith", () => {
  const wrong: ReadonlyArray<readonly [unknown, string]> = [
    [{ max: 5 }, "there is no limit max; there are maxBytes, maxItemBytes, maxItems, maxVariants"],
    [{ maxItems: 5, ttl: 1 }, "there is no limit ttl; there are maxBytes, maxItemBytes, maxItems, maxVariants"],
    [{ constructor: 5 }, "there is no limit constructor; there are maxBytes"],
    [{ maxItems: "5" }, "maxItems is \"5\"; it must be a whole number, 1 or more"],
    [{ maxBytes: "64 MiB" }, "maxBytes is \"64 MiB\"; it must be a whole number, 1 or more"],
    [{ maxBytes: null }, "maxBytes is null; it must be a whole number, 1 or more"],
    [{ maxBytes: 5n }, "maxBytes is 5n; it must be a whole number, 1 or more"],
    [{ maxBytes: Infinity }, "maxBytes is Infinity; it must be a whole number, 1 or more"],
    [{ maxVariants: -Infinity }, "maxVariants is -Infinity; it must be a whole number, 1 or more"],
    [null, "the limits are null; they must be an object"],
    [undefined, "the limits are undefined; they must be an object"],
    [5, "the limits are 5; they must be an object"],
    [[5], "the limits are [5]; they must be an object"]
  ]

  it.each(wrong)("93: refuses %s in one sentence", (limits, sentence) => {
    const build = () => InMemoryCacheStorage.layerWith(limits as object)
    expect(build).toThrow(TypeError)
    expect(build).toThrow(`InMemoryCacheStorage: ${sentence}`)
  })

  it.effect.each([[{}], [{ maxItems: undefined }], [{
    maxItemBytes: Infinity,
    maxItems: Infinity,
    maxVariants: Infinity
  }]])(
    "93: takes %s",
    ([limits]) => Effect.scoped(Layer.build(InMemoryCacheStorage.layerWith(limits as object)))
  )
})
