import { describe, expect, it } from "@effect/vitest"
import type * as Fields from "../../src/protocol/Fields.js"
import * as Validation from "../../src/protocol/Validation.js"

const modified = "Wed, 01 Jul 2026 10:00:00 GMT"
const later = "Wed, 01 Jul 2026 10:00:01 GMT"

describe("Validation.conditions", () => {
  it.each<[Fields.Fields, Fields.Fields | undefined]>([
    [{}, undefined],
    [{ etag: "\"1\"" }, { "if-none-match": "\"1\"" }],
    [{ "last-modified": modified }, { "if-modified-since": modified }],
    [{ "etag": "W/\"1\"", "last-modified": modified }, { "if-none-match": "W/\"1\"", "if-modified-since": modified }]
  ])("of %j are %j", (stored, conditions) => {
    expect(Validation.conditions(stored)).toEqual(conditions)
  })
})

describe("Validation.isAbout", () => {
  it.each<[Fields.Fields, Fields.Fields, boolean]>([
    [{ etag: "\"1\"" }, {}, true],
    [{ etag: "\"1\"" }, { etag: "\"1\"" }, true],
    [{ etag: "\"1\"" }, { etag: "\"2\"" }, false],
    [{ etag: "W/\"1\"" }, { etag: "\"1\"" }, false],
    [{ etag: "\"1\"" }, { etag: "W/\"1\"" }, true],
    [{ etag: "W/\"1\"" }, { etag: "W/\"1\"" }, true],
    [{ etag: "W/\"1\"" }, { etag: "W/\"2\"" }, false],
    [{ "last-modified": modified }, { etag: "\"1\"" }, false],
    [{ "last-modified": modified }, { "last-modified": modified }, true],
    [{ "last-modified": modified }, { "last-modified": later }, false],
    [{ "etag": "\"1\"", "last-modified": modified }, { "last-modified": later }, false],
    [{ etag: "\"1\"" }, { "last-modified": later }, true]
  ])("of what is stored with %j a 304 with %j is: %s", (stored, notModified, isAbout) => {
    expect(Validation.isAbout(stored, notModified)).toBe(isAbout)
  })
})

describe("Validation.isAbout, by how the content is read", () => {
  const tag = { etag: "\"1\"" }
  const html = { ...tag, "content-type": "text/html; charset=utf-8" }

  it.each<[Fields.Fields, Fields.Fields, boolean]>([
    [html, tag, true],
    [html, { ...tag, "content-type": "text/html;charset=UTF-8" }, true],
    [html, { ...tag, "content-type": "text/html; Charset=\"utf-8\"" }, true],
    [html, { ...tag, "content-type": "text/html" }, true],
    [{ ...tag, "content-type": "text/html" }, html, true],
    [html, { ...tag, "content-type": "text/html; charset=latin1" }, false],
    [html, { ...tag, "content-type": "text/html; level=1" }, true],
    [html, { ...tag, "content-type": "application/json" }, false],
    [html, { "content-type": "application/json" }, false],
    [tag, html, false],
    [{ ...tag, "content-encoding": "gzip" }, { ...tag, "content-encoding": "GZIP" }, true],
    [{ ...tag, "content-encoding": "gzip" }, { ...tag, "content-encoding": "br" }, false],
    [{ ...tag, "content-encoding": "gzip" }, { ...tag, "content-encoding": "identity" }, false],
    [{ ...tag, "content-encoding": "br, gzip" }, { ...tag, "content-encoding": "gzip, br" }, false],
    [{ ...tag, "content-encoding": "gzip, br" }, { ...tag, "content-encoding": "gzip,br" }, true],
    [tag, { ...tag, "content-encoding": "identity" }, true],
    [tag, { ...tag, "content-encoding": "gzip" }, false]
  ])("79: of what is stored with %j a 304, a part or a HEAD with %j is: %s", (stored, newer, isAbout) => {
    expect(Validation.isAbout(stored, newer)).toBe(isAbout)
    if ("etag" in newer) {
      expect(Validation.isOfSame(stored, newer)).toBe(isAbout)
      expect(Validation.headIsAbout(stored, newer)).toBe(isAbout)
    }
  })
})

describe("Validation.isAbout, of tags without quotes", () => {
  it.each<[string, string, boolean]>([
    ["v1", "v1", true],
    ["v1", "v2", false],
    ["v1", "\"v1\"", false],
    ["\"v1\"", "v1", false],
    ["v1", "\"v2\"", false],
    ["W/v1", "v1", false],
    ["v1", "V1", false],
    ["'v1'", "'v1'", true],
    ["v1", "", false]
  ])("79: %s is stored, and a 304 says %s: %s", (stored, theirs, isAbout) => {
    const dated = { "last-modified": modified }
    expect(Validation.isAbout({ etag: stored, ...dated }, { etag: theirs, ...dated })).toBe(isAbout)
  })
})

describe("Validation.isOfSame", () => {
  it.each([
    ["\"1\"", "\"1\"", true],
    ["\"1\"", "\"2\"", false],
    ["W/\"1\"", "W/\"1\"", false],
    ["\"1\"", "W/\"1\"", false],
    ["\"1\"", "", false]
  ])("a part with %s and one with %s may be combined: %s", (stored, part, isOfSame) => {
    expect(Validation.isOfSame({ etag: stored }, part === "" ? {} : { etag: part })).toBe(isOfSame)
  })
})

describe("Validation.headIsAbout", () => {
  const stored = { "etag": "\"1\"", "last-modified": modified, "content-length": "5" }

  it.each<[Fields.Fields, boolean]>([
    [{}, true],
    [{ "etag": "\"1\"", "content-length": "5" }, true],
    [{ etag: "\"2\"" }, false],
    [{ "last-modified": later }, false],
    [{ "content-length": "6" }, false]
  ])("a HEAD with %j is about what is stored: %s", (head, isAbout) => {
    expect(Validation.headIsAbout(stored, head)).toBe(isAbout)
  })
})

describe("Validation.headTells", () => {
  it.each<[Fields.Fields, Fields.Fields, boolean]>([
    [{}, {}, true],
    [{}, { etag: "\"1\"" }, true],
    [{ etag: "\"1\"" }, {}, false],
    [{ etag: "\"1\"" }, { "content-length": "5" }, false],
    [{ "last-modified": modified }, {}, false],
    [{ "etag": "\"1\"", "last-modified": modified }, { "last-modified": modified }, true]
  ])("that what is stored with %j is current, with %j: %s", (stored, head, tells) => {
    expect(Validation.headTells(stored, head)).toBe(tells)
  })
})

describe("Validation.update", () => {
  const stored = { "content-length": "5", "content-type": "text/plain", "x-a": "old", "x-b": "kept" }

  it("adds each field of the newer answer and replaces what is there", () => {
    expect(Validation.update(stored, { "x-a": "new", "x-c": "added" }))
      .toEqual({ ...stored, "x-a": "new", "x-c": "added" })
  })

  it("leaves out the length and the range, and nothing else that describes the content", () => {
    const newer = {
      "content-length": "9",
      "content-range": "bytes 0-1/9",
      "content-type": "a/b",
      "content-encoding": "br",
      "content-md5": "x"
    }
    expect(Validation.update(stored, newer))
      .toEqual({ ...stored, "content-type": "a/b", "content-encoding": "br", "content-md5": "x" })
  })

  it("leaves out what is of the connection", () => {
    const newer = {
      "connection": "x-hop",
      "x-hop": "1",
      "proxy-authenticate": "Basic",
      "keep-alive": "timeout=5",
      "transfer-encoding": "chunked"
    }
    expect(Validation.update(stored, newer)).toEqual(stored)
  })
})

describe("Validation.supersedes", () => {
  it.each([
    [200, true],
    [203, true],
    [301, true],
    [404, true],
    [410, true],
    [206, false],
    [304, false],
    [412, false],
    [416, false],
    [417, false],
    [500, false],
    [503, false]
  ])(
    "after a %s to GET what was stored is out of date: %s",
    (status, supersedes) => {
      expect(Validation.supersedes("GET", status)).toBe(supersedes)
      expect(Validation.supersedes("HEAD", status)).toBe(false)
    }
  )
})
