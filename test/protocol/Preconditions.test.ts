import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import type * as Fields from "../../src/protocol/Fields.js"
import * as Preconditions from "../../src/protocol/Preconditions.js"
import { text } from "./texts.js"

const before = "Sat, 05 Nov 1994 08:49:37 GMT"
const modified = "Sun, 06 Nov 1994 08:49:37 GMT"
const after = "Mon, 07 Nov 1994 08:49:37 GMT"
const now = Date.UTC(1994, 10, 8)

const current: Preconditions.Validators = { etag: "\"a\"", lastModified: modified }

const judge = (
  method: string,
  request: Fields.Fields,
  validators: Preconditions.Validators | undefined = current,
  isOrigin = true
) => Preconditions.evaluate(method, request, validators, { now, isOrigin })

const ifMatch = (value: string): Fields.Fields => ({ "if-match": value })
const ifNoneMatch = (value: string): Fields.Fields => ({ "if-none-match": value })
const ifModifiedSince = (value: string): Fields.Fields => ({ "if-modified-since": value })
const ifUnmodifiedSince = (value: string): Fields.Fields => ({ "if-unmodified-since": value })

describe("Preconditions.evaluate", () => {
  it.each<[string, string, Fields.Fields, Preconditions.Verdict, Preconditions.Verdict]>([
    ["no condition", "GET", {}, "proceed", "proceed"],

    ["1: If-Match holds", "PUT", ifMatch("\"a\""), "proceed", "proceed"],
    ["1: If-Match doesn't", "PUT", ifMatch("\"b\""), "failed", "proceed"],
    ["1: If-Match doesn't, on GET", "GET", ifMatch("\"b\""), "failed", "proceed"],
    ["1 over 2", "PUT", { ...ifMatch("\"a\""), ...ifUnmodifiedSince(before) }, "proceed", "proceed"],
    ["1 over 2, the other way round", "PUT", { ...ifMatch("\"b\""), ...ifUnmodifiedSince(after) }, "failed", "proceed"],
    ["1, then 3", "GET", { ...ifMatch("\"a\""), ...ifNoneMatch("\"a\"") }, "not-modified", "not-modified"],
    ["1, then 3, on PUT", "PUT", { ...ifMatch("\"a\""), ...ifNoneMatch("\"a\"") }, "failed", "failed"],
    ["1 over 3", "GET", { ...ifMatch("\"b\""), ...ifNoneMatch("\"a\"") }, "failed", "not-modified"],
    ["1, then 4", "GET", { ...ifMatch("\"a\""), ...ifModifiedSince(after) }, "not-modified", "not-modified"],
    ["1 over 4", "GET", { ...ifMatch("\"b\""), ...ifModifiedSince(after) }, "failed", "not-modified"],

    ["2: If-Unmodified-Since holds", "PUT", ifUnmodifiedSince(after), "proceed", "proceed"],
    ["2: If-Unmodified-Since holds in the same second", "PUT", ifUnmodifiedSince(modified), "proceed", "proceed"],
    ["2: If-Unmodified-Since doesn't", "PUT", ifUnmodifiedSince(before), "failed", "proceed"],
    ["2, then 3", "GET", { ...ifUnmodifiedSince(after), ...ifNoneMatch("\"a\"") }, "not-modified", "not-modified"],
    ["2 over 3", "GET", { ...ifUnmodifiedSince(before), ...ifNoneMatch("\"a\"") }, "failed", "not-modified"],
    ["2 over 4", "GET", { ...ifUnmodifiedSince(before), ...ifModifiedSince(after) }, "failed", "not-modified"],

    ["3: If-None-Match holds", "GET", ifNoneMatch("\"b\""), "proceed", "proceed"],
    ["3: If-None-Match doesn't, on GET", "GET", ifNoneMatch("\"a\""), "not-modified", "not-modified"],
    ["3: If-None-Match doesn't, on HEAD", "HEAD", ifNoneMatch("\"a\""), "not-modified", "not-modified"],
    ["3: If-None-Match doesn't, on POST", "POST", ifNoneMatch("\"a\""), "failed", "failed"],
    ["3: If-None-Match doesn't, on DELETE", "DELETE", ifNoneMatch("*"), "failed", "failed"],
    ["3 over 4", "GET", { ...ifNoneMatch("\"b\""), ...ifModifiedSince(after) }, "proceed", "proceed"],
    [
      "3 over 4, the other way round",
      "GET",
      { ...ifNoneMatch("\"a\""), ...ifModifiedSince(before) },
      "not-modified",
      "not-modified"
    ],
    [
      "3 over 4, though it can't be read",
      "GET",
      { ...ifNoneMatch("a"), ...ifModifiedSince(after) },
      "proceed",
      "proceed"
    ],

    ["4: If-Modified-Since holds", "GET", ifModifiedSince(before), "proceed", "proceed"],
    ["4: If-Modified-Since doesn't", "GET", ifModifiedSince(after), "not-modified", "not-modified"],
    ["4: If-Modified-Since doesn't, on HEAD", "HEAD", ifModifiedSince(after), "not-modified", "not-modified"],
    [
      "4: If-Modified-Since doesn't, in the same second",
      "GET",
      ifModifiedSince(modified),
      "not-modified",
      "not-modified"
    ],
    ["4: only on GET and HEAD", "POST", ifModifiedSince(after), "proceed", "proceed"]
  ])("RFC 9110 §13.2.2, %s", (_, method, request, atOrigin, elsewhere) => {
    expect(judge(method, request)).toBe(atOrigin)
    expect(judge(method, request, current, false)).toBe(elsewhere)
  })

  it.each([
    ["\"a\"", "\"a\"", true, true],
    ["\"a\"", "W/\"a\"", false, true],
    ["W/\"a\"", "\"a\"", false, true],
    ["W/\"a\"", "W/\"a\"", false, true],
    ["\"a\"", "\"A\"", false, false],
    ["\"a\"", "\"x\", W/\"y\",\t\"a\"", true, true],
    ["\"a\"", "\"x\", \"y\"", false, false],
    ["\"a\"", ",,\"a\",", true, true],
    ["\"a,b\"", "\"x\", \"a,b\"", true, true],
    ["\"a\"", "\"x,\", \"a,b\"", false, false],
    ["\"a\"", "*", true, true],
    ["\"a\"", " * ", true, true],
    ["\"*\"", "\"*\"", true, true],
    ["\"a\"", "\"*\"", false, false],
    ["\"a\"", "", false, false],
    ["\"a\"", "a", false, false],
    ["\"a\"", "'a'", false, false],
    ["\"a\"", "\"a", false, false],
    ["\"a\"", "junk, \"a\"", true, true],
    ["\"\"", "\"\"", true, true],
    ["W/\"\"", "\"\"", false, true]
  ])("the tag %s and the list %j: strongly %s, weakly %s", (etag, list, strongly, weakly) => {
    const validators = { ...current, etag }
    expect(judge("PUT", ifMatch(list), validators)).toBe(strongly ? "proceed" : "failed")
    expect(judge("GET", ifNoneMatch(list), validators)).toBe(weakly ? "not-modified" : "proceed")
    expect(judge("PUT", ifNoneMatch(list), validators)).toBe(weakly ? "failed" : "proceed")
  })

  it.each([
    ["without a tag", { ...current, etag: undefined }],
    ["with a tag that isn't one", { ...current, etag: "a" }],
    ["with two tags", { ...current, etag: "\"a\", \"b\"" }]
  ])("a representation %s is named by * only", (_, validators) => {
    expect(judge("PUT", ifMatch("\"a\""), validators)).toBe("failed")
    expect(judge("PUT", ifMatch("a"), validators)).toBe("failed")
    expect(judge("PUT", ifMatch("*"), validators)).toBe("proceed")
    expect(judge("GET", ifNoneMatch("\"a\""), validators)).toBe("proceed")
    expect(judge("GET", ifNoneMatch("*"), validators)).toBe("not-modified")
  })

  it("where there is no representation, nothing matches and no date says anything", () => {
    const judge = (request: Fields.Fields) => Preconditions.evaluate("PUT", request, undefined, { now, isOrigin: true })
    expect(["*", "\"a\""].map((list) => judge(ifMatch(list)))).toEqual(["failed", "failed"])
    expect(["*", "\"a\""].map((list) => judge(ifNoneMatch(list)))).toEqual(["proceed", "proceed"])
    expect(judge(ifUnmodifiedSince(before))).toBe("proceed")
  })

  it.each([
    "",
    "0",
    "yesterday",
    `${before}, ${before}`,
    before.replace("GMT", "CET"),
    "Wed, 30 Feb 1994 08:49:37 GMT"
  ])(
    "the date %j can't be read and is ignored, on either side",
    (date) => {
      expect(judge("PUT", ifUnmodifiedSince(date))).toBe("proceed")
      expect(judge("GET", ifModifiedSince(date))).toBe("proceed")
      expect(judge("PUT", ifUnmodifiedSince(before), { etag: undefined, lastModified: date })).toBe("proceed")
      expect(judge("GET", ifModifiedSince(after), { etag: undefined, lastModified: date })).toBe("proceed")
    }
  )

  it.each(["Saturday, 05-Nov-94 08:49:37 GMT", "Sat Nov  5 08:49:37 1994"])("%s is a date as well", (date) => {
    expect(judge("PUT", ifUnmodifiedSince(date))).toBe("failed")
    expect(judge("GET", ifModifiedSince(date))).toBe("proceed")
    expect(judge("GET", ifModifiedSince(date), { etag: undefined, lastModified: date })).toBe("not-modified")
  })

  it("Date stands in for a missing Last-Modified in If-Modified-Since, never in If-Unmodified-Since", () => {
    const dated = { etag: undefined, lastModified: undefined, date: modified }
    expect(judge("GET", ifModifiedSince(after), dated)).toBe("not-modified")
    expect(judge("GET", ifModifiedSince(before), dated)).toBe("proceed")
    expect(judge("GET", ifModifiedSince(after), { ...dated, lastModified: "x" })).toBe("proceed")
    expect(judge("PUT", ifUnmodifiedSince(before), dated)).toBe("proceed")
  })

  it("a record of Node has no conditions of its own", () => {
    const request = Object.create({ "if-match": "\"b\"", "if-none-match": "\"a\"" })
    expect(judge("GET", request)).toBe("proceed")
    expect(Preconditions.isConditional(request)).toBe(false)
  })

  it("any fields and validators come to a verdict that the method can have", () => {
    fc.assert(
      fc.property(fc.constantFrom("GET", "PUT"), text, text, text, fc.boolean(), (method, a, b, c, isOrigin) => {
        for (const name of ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"]) {
          const validators = { etag: b, lastModified: c, date: a }
          const verdict = Preconditions.evaluate(method, { [name]: a }, validators, { now, isOrigin })
          expect(verdict).not.toBe(
            method === "GET" && !Preconditions.isForOrigin({ [name]: a }) ? "failed" : "not-modified"
          )
          if (!isOrigin && Preconditions.isForOrigin({ [name]: a })) expect(verdict).toBe("proceed")
        }
      })
    )
  })
})

describe("Preconditions: which fields are conditions", () => {
  it.each([
    ["if-match", true, true],
    ["if-unmodified-since", true, true],
    ["if-none-match", false, true],
    ["if-modified-since", false, true],
    ["if-range", false, false],
    ["range", false, false]
  ])("%s: for the origin %s, a condition %s", (name, isForOrigin, isConditional) => {
    expect(Preconditions.isForOrigin({ [name]: "" })).toBe(isForOrigin)
    expect(Preconditions.isConditional({ [name]: "" })).toBe(isConditional)
    expect(Preconditions.clientCopy.has(name)).toBe(isConditional && !isForOrigin)
  })
})

describe("Preconditions.evaluateResponse", () => {
  const judges = {
    origin: { now, isOrigin: true, isCache: false },
    cache: { now, isOrigin: false, isCache: true },
    intermediary: { now, isOrigin: false, isCache: false }
  }
  const fields = { "etag": "\"a\"", "last-modified": modified, "date": after }

  it.each([200, 206])("a %s may be what the client has", (status) => {
    const answer = { status, fields }
    expect(Preconditions.evaluateResponse("GET", ifNoneMatch("\"a\""), answer, judges.cache)).toBe("not-modified")
    expect(Preconditions.evaluateResponse("GET", ifMatch("\"b\""), answer, judges.origin)).toBe("failed")
  })

  it.each([201, 204, 301, 304, 404, 412, 500])("a %s goes out as it is", (status) => {
    const answer = { status, fields }
    for (const request of [ifNoneMatch("*"), ifModifiedSince(after), ifMatch("\"b\""), ifUnmodifiedSince(before)]) {
      for (const judge of Object.values(judges)) {
        expect(Preconditions.evaluateResponse("GET", request, answer, judge)).toBe("proceed")
      }
    }
  })

  it.each<[keyof typeof judges, Preconditions.Verdict, Preconditions.Verdict]>([
    ["origin", "failed", "proceed"],
    ["cache", "proceed", "not-modified"],
    ["intermediary", "proceed", "proceed"]
  ])("%s: If-Match %s; If-Modified-Since where there is only a Date %s", (name, matched, dated) => {
    const judge = judges[name]
    const answer = { status: 200, fields: { etag: "\"a\"", date: modified } }
    expect(Preconditions.evaluateResponse("GET", ifMatch("\"b\""), answer, judge)).toBe(matched)
    expect(Preconditions.evaluateResponse("GET", ifModifiedSince(after), answer, judge)).toBe(dated)
  })
})
