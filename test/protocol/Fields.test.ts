import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Fields from "../../src/protocol/Fields.js"
import { text, token } from "./texts.js"

describe("Fields", () => {
  it.each(["constructor", "__proto__", "toString", "hasOwnProperty"])(
    "a record of Node has no field %s unless it was sent",
    (name) => {
      expect(Fields.get({}, name)).toBeUndefined()
      expect(Fields.get(JSON.parse(`{ "${name}": "sent" }`), name)).toBe("sent")
    }
  )

  it("a field named __proto__ is data like any other, and the later of two entries counts", () => {
    const fields = Fields.from([["__proto__", "a"], ["x", "b"], ["x", "c"]])
    expect(Object.entries(fields)).toEqual([["__proto__", "a"], ["x", "c"]])
    expect(Object.entries(Fields.without(fields, new Set(["x"])))).toEqual([["__proto__", "a"]])
  })

  it("a token is one or more of the characters of RFC 9110 §5.6.2, and no others", () => {
    const characters = Array.from({ length: 0x180 }, (_, code) => String.fromCharCode(code))
    expect(characters.filter(Fields.isToken).join("")).toBe(
      "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~"
    )
    expect(["", "a b", "a\n", "\u212a", "a\0"].filter(Fields.isToken)).toEqual([])
    expect(Fields.isToken("a*~Z")).toBe(true)
  })

  it.each([
    [" \t a \t ", "a"],
    ["\u00a0a\u00a0", "\u00a0a\u00a0"],
    ["\na\r", "\na\r"],
    [" \t ", ""],
    ["a\tb", "a\tb"]
  ])("of %j only spaces and tabs around it are trimmed", (padded, trimmed) => {
    expect(Fields.trim(padded)).toBe(trimmed)
  })

  it.each<[string, ReadonlyArray<string>]>([
    ["", [""]],
    [",", ["", ""]],
    [" a ,\tb\t, ", ["a", "b", ""]],
    ["a=\"b, c\", d", ["a=\"b, c\"", "d"]],
    ["\"a\\\", b\", c", ["\"a\\\", b\"", "c"]],
    ["\"a\\\\\", b", ["\"a\\\\\"", "b"]],
    ["a\\, b", ["a\\", "b"]],
    ["a\"b,c\"d, e", ["a\"b,c\"d", "e"]]
  ])("the list %j has the members %j", (value, members) => {
    expect(Fields.split(value)).toEqual(members)
    expect(Fields.members(value)).toEqual(members.filter((member) => member !== ""))
  })

  it.each<[string, ReadonlyArray<string>]>([
    ["a=\"b, c, d", ["a=\"b", "c", "d"]],
    ["a=\"b\\\", c", ["a=\"b\\\"", "c"]],
    ["\"a, b\", \"c, d", ["\"a, b\"", "\"c", "d"]],
    ["a, b\"", ["a", "b\""]],
    ["\"\\", ["\"\\"]]
  ])("an unclosed quote hides nothing that follows it: %j", (value, members) => {
    expect(Fields.split(value)).toEqual(members)
  })

  it("members that are tokens and quoted strings come back as they were joined", () => {
    const quoted = text.map((content) => `"${content.replace(/["\\]/g, "\\$&")}"`)
    const member = fc.oneof(token, quoted, fc.tuple(token, quoted).map(([name, value]) => `${name}=${value}`))
    const comma = fc.constantFrom(",", ", ", " ,", "\t,\t")
    fc.assert(fc.property(fc.array(member, { minLength: 1 }), comma, (members, comma) => {
      expect(Fields.split(members.join(comma))).toEqual(members)
    }))
  })

  it("nothing that comes before a member swallows it", () => {
    fc.assert(fc.property(text, token, (before, member) => {
      expect(Fields.split(`${before}, ${member}`).at(-1)).toBe(member)
    }))
  })

  it("any text is a list, of which splitting loses only white space", () => {
    fc.assert(fc.property(text, (value) => {
      const bare = (text: string) => text.replaceAll(" ", "").replaceAll("\t", "")
      expect(bare(Fields.split(value).join(","))).toBe(bare(value))
      expect(Fields.members(value)).toEqual(Fields.split(value).filter((member) => member !== ""))
    }))
  })

  it("hop-by-hop fields, and those that Connection lists in any spelling, go no further", () => {
    const hopByHop = [
      "keep-alive",
      "proxy-authenticate",
      "proxy-authentication-info",
      "proxy-authorization",
      "proxy-connection",
      "te",
      "trailer",
      "transfer-encoding",
      "upgrade"
    ]
    const kept = Fields.endToEnd({
      ...Object.fromEntries(hopByHop.map((name) => [name, "x"])),
      "connection": "close,X-One ,\tx-TWO, \"x-three, x-four",
      "x-one": "1",
      "x-two": "2",
      "x-four": "4",
      "x-five": "5",
      "close": "6",
      "content-type": "text/plain"
    })
    expect({ ...kept }).toEqual({ "x-five": "5", "content-type": "text/plain" })
  })

  it("without Connection only the hop-by-hop fields go", () => {
    expect({ ...Fields.endToEnd({ "upgrade": "h2c", "etag": "\"a\"" }) }).toEqual({ etag: "\"a\"" })
  })
})
