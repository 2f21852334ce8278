/** Who may use the inspector, and what it never shows: each attack through the door. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { CacheStorage, HttpCache, HttpCacheInspector, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { counted, type Logged, logged, routes, send, serve, TestServer } from "./harness.js"
import { asking } from "./inspectorApp.js"
import { redacting } from "./platform.js"

const memory = Effect.provide(Layer.fresh(InMemoryCacheStorage.layerCollectable))

/** A storage that keeps nothing, and can't collect. */
const nowhere = CacheStorage.layer(
  Effect.succeed(CacheStorage.make({ get: () => Effect.succeed([]), set: () => Effect.void }))
)

const pages = ["", "/", "/item?uri=/", "/explain?url=/", "/events", "/collect", "/none"]

const inspected = HttpCacheInspector.middleware({ path: "/inspector", unguarded: true })

describe("options", () => {
  const authorize = Effect.succeed(true)
  it.each([
    [{ path: "/a" }, "there is no authorize, so that everybody could look and collect; give authorize, an Effect of"],
    [{ unguarded: true }, "there is no path; it must be a path such as \"/inspector\""],
    [{ path: "/a", authorize, unguarded: true }, "authorize and unguarded are both given; give one of them"],
    [{ path: "/a", unguarded: false }, "unguarded is false; it must be true, or left out"],
    [{ path: "/a", authorize: () => true }, "authorize is a function; it must be an Effect of whether"],
    [{ path: "/", authorize }, "path is \"/\"; it must be a path such as \"/inspector\""],
    [{ path: "inspector", authorize }, "path is \"inspector\"; it must be"],
    [{ path: "/inspector/", authorize }, "path is \"/inspector/\"; it must be"],
    [{ path: "/:any", authorize }, "path is \"/:any\"; it must be"],
    [{ path: "/a", authorize, title: "A" }, "there is no option title; there are path, authorize, unguarded"]
  ])("%j are refused at once", (options, problem) => {
    const { layer, middleware } = HttpCacheInspector
    for (const [door, make] of Object.entries({ layer, middleware })) {
      const made = () => make(options as never)
      expect(made).toThrow(TypeError)
      expect(made).toThrow(`HttpCacheInspector.${door}: ${problem}`)
    }
  })
})

describe("authorize", () => {
  const isOperator = Effect.map(
    HttpServerRequest.HttpServerRequest,
    ({ headers }) => headers["x-operator"] === "yes"
  )

  it.effect("is asked for each request, and says no with a 403 that tells nothing", () =>
    Effect.gen(function*() {
      const app = HttpCacheInspector.middleware({ path: "/inspector", authorize: isOperator })(
        counted().pipe(withCache({ expiry: 60 }))
      )
      const { collect, get, status, text } = yield* asking(app)
      yield* get("/secret-name")
      for (const page of pages) {
        const response = yield* get(`/inspector${page}`)
        expect(response.status).toBe(403)
        expect(response.headers.get("cache-control")).toBe("no-store")
        expect(yield* Effect.promise(() => response.text())).toBe("authorize says no\n")
      }
      expect((yield* collect({ uri: "/secret-name" })).status).toBe(403)
      expect(yield* status("/secret-name")).toMatch(/^hit/)
      expect((yield* get("/inspector", { "x-operator": "yes" })).status).toBe(200)
      expect(yield* text("/inspectors")).toMatch(/^run/)
    }).pipe(memory))

  it.effect.each(
    [
      ["fails", Effect.fail("no session")],
      ["dies", Effect.die(new Error("no session"))],
      ["answers no boolean", Effect.succeed("yes" as unknown as boolean)]
    ] as const
  )("that %s has refused", ([how, authorize]) => {
    const logs: Array<Logged> = []
    return Effect.gen(function*() {
      const { get } = yield* asking(HttpCacheInspector.middleware({ path: "/inspector", authorize })(counted()))
      expect((yield* get("/inspector")).status).toBe(403)
      const told = logs.map(({ message }) => message).filter((message) => message.includes("inspector"))
      expect(told).toHaveLength(how === "answers no boolean" ? 0 : 1)
    }).pipe(memory, Effect.provide(logged(logs)))
  })
})

it.effect("each answer is strict: nothing from elsewhere, no frame, and only its own script and style", () =>
  Effect.gen(function*() {
    const { get, text } = yield* asking(inspected(counted().pipe(withCache({ expiry: 60 }))))
    for (const page of pages) {
      const { body, headers } = yield* get(`/inspector${page}`)
      expect(headers.get("content-security-policy")).toMatch(
        /^default-src 'none'; script-src 'sha256-[\w+/=]{44}'; style-src 'sha256-[\w+/=]{44}'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/
      )
      expect(headers.get("x-content-type-options")).toBe("nosniff")
      expect(headers.get("cache-control")).toBe("no-store")
      void body?.cancel()
    }
    const page = yield* text("/inspector")
    const policy = (yield* get("/inspector")).headers.get("content-security-policy")!
    for (const part of ["script", "style"]) {
      const [, ...parts] = page.split(`<${part}>`)
      expect(parts).toHaveLength(1)
      const own = parts[0]!.split(`</${part}>`)[0]!
      expect(policy).toContain(`${part}-src 'sha256-${createHash("sha256").update(own).digest("base64")}'`)
    }
    expect(page).not.toMatch(/ (?:style|on\w+)=|(?:src|href|action)="(?:https?:)?\/\//)
  }).pipe(memory))

describe("a form", () => {
  const site = "http://localhost"
  it.effect.each(
    [
      ["of another site", { "sec-fetch-site": "cross-site", origin: site }, 403],
      ["of a sibling", { "sec-fetch-site": "same-site" }, 403],
      ["that nobody clicked", { "sec-fetch-site": "none" }, 403],
      ["of nobody", {}, 403],
      ["of an opaque origin", { origin: "null", host: "localhost" }, 403],
      ["of another host", { origin: "http://localhost.example", host: "localhost" }, 403],
      ["of another port", { origin: "http://localhost:81", host: "localhost" }, 403],
      ["of the page", { "sec-fetch-site": "same-origin" }, 303],
      ["of the page, from an older browser", { origin: "http://localhost", host: "localhost" }, 303],
      ["of the page, behind a proxy that encrypts", { origin: "https://shop.example", host: "shop.example:443" }, 303]
    ] as const
  )("%s", ([, headers, expected]) =>
    Effect.gen(function*() {
      const { collect, get, status } = yield* asking(inspected(counted().pipe(withCache({ expiry: 60 }))))
      yield* get("/a")
      expect((yield* collect({ uri: "http://localhost/a" }, headers)).status).toBe(expected)
      expect(yield* status("/a")).toMatch(expected === 303 ? /^fwd=uri-miss/ : /^hit/)
    }).pipe(memory))

  it.effect.each(
    [
      ["another site", { "sec-fetch-site": "cross-site" }, 403],
      ["a sibling", { "sec-fetch-site": "same-site" }, 403],
      ["the page", { "sec-fetch-site": "same-origin" }, 200],
      ["somebody who types", { "sec-fetch-site": "none" }, 200],
      ["a program", {}, 200]
    ] as const
  )(
    "102: a request is explained to %s, which runs what stands before a cache, or not",
    ([, headers, expected]) =>
      Effect.gen(function*() {
        let runs = 0
        const app = Effect.sync(() => (runs++, HttpServerResponse.text("hello")))
        const { get } = yield* asking(inspected(app))
        expect((yield* get("/inspector/explain?url=/a&header=x-internal:%20root", headers)).status).toBe(expected)
        expect(runs).toBe(expected === 200 ? 1 : 0)
      }).pipe(memory)
  )

  it.effect("changes nothing by GET, and there is none where the storage can't collect", () =>
    Effect.gen(function*() {
      const { collect, get, text } = yield* asking(inspected(counted().pipe(withCache({ expiry: 60 }))))
      const response = yield* get("/inspector/collect?uri=/a")
      expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"])
      expect((yield* collect({ uri: "/a" })).status).toBe(409)
      expect(yield* text("/inspector")).not.toContain("<form")
    }).pipe(Effect.provide(nowhere)))

  it.effect("is refused when it is long", () =>
    Effect.gen(function*() {
      const { collect } = yield* asking(inspected(counted()))
      expect((yield* collect({ uri: "x".repeat(40_000) })).status).toBe(413)
    }).pipe(memory))
})

it.scoped("markup in a URI, a field, a group, a route or a form is text", () =>
  Effect.gen(function*() {
    const attack = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>`"
    const app = inspected(
      Effect.andThen(
        HttpCache.group(attack),
        counted({ headers: { "x-said": attack } })
      ).pipe(withCache({ expiry: 60, name: attack, vary: ["x-asked"] }))
    )
    const ask = yield* serve(app)
    const target = "/a\"><script>alert(1)</script>?`'<b>"
    yield* send(
      ask.port,
      `GET ${target} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-asked: ${attack}\r\nconnection: close\r\n\r\n`
    )
    const host = { headers: { host: "127.0.0.1" } }
    const overview = (yield* ask("/inspector", host)).text
    const uri = encodeURIComponent(`http://127.0.0.1${target}`)
    const item = (yield* ask(`/inspector/item?uri=${uri}`, host)).text
    expect(item).toContain("200 · 5 B")
    expect(item).toContain("value=\"&quot;&gt;&lt;script&gt;alert(1)")
    const asked = encodeURIComponent(attack)
    const others = [
      `/inspector/item?uri=${asked}`,
      `/inspector/explain?url=${asked}&headers=${encodeURIComponent(`X-Asked: ${attack}`)}`,
      `/inspector/explain?url=/a&method=${asked}`,
      `/inspector/explain?url=/a&header=${asked}`,
      `/inspector?done=${asked}`
    ]
    const texts = [overview, item]
    for (const other of others) texts.push((yield* ask(other, host)).text)
    for (const text of texts) {
      expect(text.split("<script>")).toHaveLength(2)
      expect(text).not.toMatch(/<img|<b>/)
    }
    expect(overview).toContain("/a&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;?&#96;&#39;&lt;b&gt;")
  }).pipe(Effect.provide(TestServer)))

it.effect("what is private, redacted or content is not shown", () =>
  Effect.gen(function*() {
    const user = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-user"])
    const { collect, get, text } = yield* asking(inspected(routes({
      "GET /open": Effect.succeed(
        HttpServerResponse.text("content-of-theirs", {
          headers: {
            "x-api-key": "key-of-theirs",
            "x-own-secret": "secret-1",
            "set-cookie": "id=cookie-1",
            "x-shown": "shown-1"
          }
        })
      ).pipe(withCache({ expiry: 60, cookies: "store", vary: ["x-api-key", "x-own-secret"] })),
      "GET /mine": Effect.andThen(HttpCache.group("group-of-ada"), counted({ headers: { "x-balance": "balance-7" } }))
        .pipe(
          withCache({ expiry: 60, partition: user })
        )
    })))
    yield* get("/open", { "x-api-key": "key-of-ours", "x-own-secret": "secret-2" })
    yield* get("/mine", { "x-user": "ada" })
    yield* get("/mine", { "x-user": "ada" })
    const texts = [
      yield* text("/inspector"),
      yield* text("/inspector/item?uri=/open"),
      yield* text("/inspector/item?uri=/mine"),
      yield* text("/inspector/explain?url=/mine&header=X-User:ada"),
      yield* text("/inspector/explain?url=/open&header=x-api-key:key-of-ours&header=x-own-secret:secret-2")
        // What the form was filled in with is the reader's own.
        .pipe(Effect.map((page) => page.replace(/<textarea[\s\S]*?<\/textarea>/, "")))
    ]
    const all = texts.join("\n")
    for (
      const secret of ["key-of", "secret-1", "secret-2", "cookie-1", "content-of-theirs", "balance-7", "group-of-ada"]
    ) {
      expect(all).not.toContain(secret)
    }
    expect(texts[1]).toContain("shown-1")
    expect(texts[1]).toContain("1 set, <span class=\"hidden-value\">not shown")
    expect(texts[2]).toContain("1 response is kept for one user each, and not shown.")
    expect(texts[3]).toContain("What is stored is kept for one user, and not shown.")
    expect(texts[4]).toContain("shown-1")
    yield* collect({ uri: "/mine" })
    expect(yield* text("/inspector/item?uri=/mine")).not.toContain("kept for one user")
  }).pipe(redacting(["x-api-key", /^x-own-/]), memory))

/** The command's output and its exit code. */
const run = (...args: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const child = spawn(process.execPath, ["--import", "tsx", "src/cli.ts", ...args], { stdio: "pipe" })
    const said = { out: "", error: "" }
    child.stdout.on("data", (data) => said.out += data)
    child.stderr.on("data", (data) => said.error += data)
    const [code] = await once(child, "close")
    return { ...said, code: code as number }
  })

it.scoped("npx effect-http-cache explain prints what the inspector says, or what is wrong", () =>
  Effect.gen(function*() {
    const isOperator = Effect.map(
      HttpServerRequest.HttpServerRequest,
      ({ headers }) => headers["authorization"] === "Bearer one"
    )
    const app = counted().pipe(withCache({ expiry: 60, vary: ["accept-language"] }))
    const ask = yield* serve(HttpCacheInspector.middleware({ path: "/inspector", authorize: isOperator })(app))
    yield* ask("/a", { headers: { "accept-language": "fr" } })
    const inspector = ["--inspector", `http://127.0.0.1:${ask.port}/inspector`]
    const own = [...inspector, "--inspector-header", "Authorization: Bearer one"]
    const [hit, none, noField, refused, nowhere] = yield* Effect.all([
      run("explain", "/a", "--header", "Accept-Language: fr", ...own),
      run("explain", "/a"),
      run("explain", "/a", "--header", "fr", ...own),
      run("explain", "/a", ...inspector),
      run("explain", "/a", "--inspector", "http://127.0.0.1:1/inspector")
    ], { concurrency: 2 })
    expect(hit).toEqual({
      code: 0,
      error: "",
      out: expect.stringMatching(
        /^It is answered with what is stored, .*\n[\s\S]*Cache-Status: effect-http-cache; hit; ttl=60\n$/
      )
    })
    expect(none).toMatchObject({
      code: 1,
      out: "",
      error: expect.stringMatching(/^--inspector is missing[\s\S]*Usage: npx/)
    })
    expect(noField.error).toBe("\"fr\" is no field; write it as in \"Accept-Language: fr\"\n")
    expect(refused.error).toMatch(
      /answered 403, and is no HttpCacheInspector or does not let you in: authorize says no\n$/
    )
    expect(nowhere.error).toMatch(/^http:\/\/127\.0\.0\.1:1\/inspector\/explain does not answer: /)
  }).pipe(Effect.provide(TestServer)))

it.scoped("135: npx effect-http-cache explain says so where something else answers, or breaks off", () =>
  Effect.gen(function*() {
    const broken = Stream.concat(Stream.make(new TextEncoder().encode("{")), Stream.fail("broken"))
    const json = (text: string) => HttpServerResponse.text(text, { contentType: "application/json" })
    const ask = yield* serve(routes({
      "GET /null/explain": json("null"),
      "GET /open/explain": json("[1,"),
      "GET /other/explain": json("{\"sentences\":7}"),
      "GET /broken/explain": HttpServerResponse.stream(broken, { contentLength: 9, headers: { connection: "close" } })
    }))
    const saying = (name: string) => run("explain", "/a", "--inspector", `http://127.0.0.1:${ask.port}/${name}`)
    const [broke, ...others] = yield* Effect.all(["broken", "null", "open", "other"].map(saying), { concurrency: 2 })
    expect(broke).toMatchObject({ code: 1, error: expect.stringMatching(/^\S+\/explain does not answer: .*\n$/) })
    for (const other of others) {
      expect(other).toMatchObject({
        code: 1,
        error: expect.stringMatching(/^\S+\/explain answered 200, and is no HttpCacheInspector or .*\n$/)
      })
    }
  }).pipe(Effect.provide(TestServer)))

it.scoped("154: npx effect-http-cache explain gives the password of an address to the inspector, and repeats it to nobody", () =>
  Effect.gen(function*() {
    const isAda = Effect.map(
      HttpServerRequest.HttpServerRequest,
      ({ headers }) => headers["authorization"] === `Basic ${btoa("ada:se cret")}`
    )
    const app = counted().pipe(withCache({ expiry: 60 }))
    const ask = yield* serve(HttpCacheInspector.middleware({ path: "/inspector", authorize: isAda })(app))
    const at = (
      port: number | string
    ) => ["explain", "/a", "--inspector", `http://ada:se%20cret@127.0.0.1:${port}/inspector`]
    const [letIn, ...others] = yield* Effect.all([
      run(...at(ask.port)),
      run(...at(1)),
      run(...at("none")),
      run(...at(ask.port), "--inspector-header", "Authorization Bearer secret"),
      run(...at(ask.port), "--inspector-header", "Authorization: Bearer\nsecret")
    ], { concurrency: 2 })
    expect([letIn!.code, letIn!.out]).toEqual([0, expect.stringContaining("nothing is stored for the URI")])
    for (const { code, error, out } of others) {
      expect([code, out]).toEqual([1, ""])
      expect(error).not.toMatch(/cret/)
    }
  }).pipe(Effect.provide(TestServer)))
