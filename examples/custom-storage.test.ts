/** A storage of your own keeps the laws of all storages. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { laws } from "effect-http-cache/testing"
import { layer } from "./custom-storage.js"

for (const { test, title } of laws()) it.effect(title, () => Effect.provide(test, layer))
