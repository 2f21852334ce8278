/** What the fields of a response say once its content was decoded. */
import { describe, expect, it } from "@effect/vitest"
import * as Decoding from "../../src/protocol/Decoding.js"

const coded = {
  "content-length": "10",
  "content-digest": "sha-256=:AA==:",
  "content-type": "text/plain",
  "etag": "\"a\""
}

describe("decoded", () => {
  it.each(["gzip", "br", "GZIP", "deflate, gzip", "x-gzip", "identity"])(
    "is without what is so of %s only",
    (coding) => {
      expect(Decoding.decoded(200, { ...coded, "content-encoding": coding }))
        .toEqual({ "content-type": "text/plain", "etag": "\"a\"" })
    }
  )

  it.each([undefined, "", ","])("is all of it where there is no coding: %s", (coding) => {
    const fields = coding === undefined ? coded : { ...coded, "content-encoding": coding }
    expect(Decoding.decoded(200, fields)).toEqual(fields)
  })

  it.each([[200, "zstd"], [200, "gzip, zstd"], [200, "aes128gcm"], [206, "gzip"]] as const)(
    "is nothing where it can't be told: %i with %s",
    (status, coding) => expect(Decoding.decoded(status, { ...coded, "content-encoding": coding })).toBeUndefined()
  )
})
