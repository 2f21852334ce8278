/**
 * The servers of others, by the name of the one that is wanted: `node servers.mjs fastify`. Prints its port as JSON, and ends
 * with its standard input. Each answers with content that is made once, as its documentation has it.
 */
process.env.NODE_ENV = "production"

const contentOf = (kibibytes) => Buffer.alloc(kibibytes * 1024, 120)
const content = { small: contentOf(1), large: contentOf(64), huge: contentOf(1024) }
const sizes = Object.keys(content)
const type = "application/octet-stream"
const host = "127.0.0.1"

const fastifyRoutes = async (scope) => {
  for (const size of sizes) scope.get(`/${size}`, (_, reply) => reply.type(type).send(content[size]))
}

/** apicache tells nobody what was a hit: that is where the handler has not run again. */
const expressHandler = (body) => {
  let runs = 0
  return (_, response) => response.type(type).set("x-runs", `${++runs}`).send(body)
}

const servers = {
  fastify: async () => {
    const [{ fastify }, { default: etag }] = await Promise.all([import("fastify"), import("@fastify/etag")])
    const app = fastify()
    app.register(fastifyRoutes)
    app.register(async (scope) => {
      await scope.register(etag)
      await fastifyRoutes(scope)
    }, { prefix: "/tagged" })
    await app.listen({ host, port: 0 })
    return app.server
  },
  hono: async () => {
    const [{ Hono }, { etag }, { serve }] = await Promise.all([
      import("hono"),
      import("hono/etag"),
      import("@hono/node-server")
    ])
    const app = new Hono()
    app.use("/tagged/*", etag())
    for (const size of sizes) {
      for (const path of [`/${size}`, `/tagged/${size}`]) {
        app.get(path, (context) => context.body(content[size], 200, { "content-type": type }))
      }
    }
    return serve({ fetch: app.fetch, hostname: host, port: 0 })
  },
  apicache: async () => {
    const [{ default: express }, { default: apicache }] = await Promise.all([import("express"), import("apicache")])
    const app = express()
    const cached = apicache.middleware("10 minutes")
    for (const size of sizes) app.get(`/${size}`, cached, expressHandler(content[size]))
    app.get("/items/:id", cached, expressHandler(content.small))
    return app.listen(0, host)
  },
  /** What Nitro makes of a cached route, without a build. */
  ocache: async () => {
    const [{ H3 }, { defineCachedHandler }, { serve }] = await Promise.all([
      import("h3"),
      import("ocache"),
      import("srvx")
    ])
    const app = new H3()
    const cached = (body) =>
      defineCachedHandler(() => new Response(body, { headers: { "content-type": type } }), {
        maxAge: 600,
        cacheStatusHeader: true
      })
    for (const size of sizes) app.get(`/${size}`, cached(content[size]))
    app.get("/items/:id", cached(content.small))
    const server = serve({ fetch: app.fetch, hostname: host, port: 0, silent: true })
    await server.ready()
    return server.node.server
  }
}

const server = await servers[process.argv[2]]()
if (!server.listening) await new Promise((resolve) => server.once("listening", resolve))
console.log(JSON.stringify(server.address().port))
process.stdin.on("end", () => process.exit()).resume()
