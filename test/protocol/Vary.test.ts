import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Fields from "../../src/protocol/Fields.js"
import * as Vary from "../../src/protocol/Vary.js"
import { text, token } from "./texts.js"

const variant = (vary: ReadonlyArray<string>, request: Fields.Fields) => Vary.variant(Vary.of(vary), request)

describe("Vary", () => {
  it.each<[string | undefined, Vary.Vary]>([
    [undefined, []],
    ["", []],
    [" , ,", []],
    ["Accept", ["accept"]],
    ["b, A,\tB ,a", ["a", "b"]],
    ["constructor, __proto__, toString", ["__proto__", "constructor", "tostring"]]
  ])("%j nominates %j: lower-case, sorted, each once", (value, names) => {
    expect(Vary.parse(value)).toEqual(names)
  })

  it.each(["*", "* ", "\t*", "*,", ",*", ", *", "*, *", "*, Foo", "Foo, *", "Foo,*,Bar", "\"a, *", "foo=\"*, a"])(
    "%j selects for nobody",
    (value) => {
      expect(Vary.parse(value)).toBe("*")
    }
  )

  it.each(["a b", "a;q=1", "\"a\"", "\"a, *\"", "a:", "\u00e9", "a, b c", "**, (", "a\0"])(
    "%j isn't a list of names, so it selects for nobody",
    (value) => {
      expect(Vary.parse(value)).toBe("*")
    }
  )

  it("a list of names is read whatever the names are", () => {
    const names = fc.array(token.filter((name) => name !== "*"))
    fc.assert(fc.property(names, (names) => {
      const expected = [...new Set(names)].sort()
      expect(Vary.parse(names.join(" ,\t"))).toEqual(expected)
      expect(Vary.parse(names.join(",").toUpperCase())).toEqual(expected)
      expect(Vary.parse([...names, "*"].join(","))).toBe("*")
    }))
  })

  it("a union has the names of both, sorted, each once", () => {
    expect(Vary.union(["b"], ["a", "b"])).toEqual(["a", "b"])
    expect(Vary.union([], ["a"])).toEqual(["a"])
    expect(Vary.union(["a"], [])).toEqual(["a"])
  })

  it.each<[string | undefined, ReadonlyArray<string>, string | undefined]>([
    [undefined, [], undefined],
    [undefined, ["accept", "x"], "accept, x"],
    ["", ["accept"], "accept"],
    ["Origin", [], "Origin"],
    ["Origin", ["accept"], "Origin, accept"],
    ["ACCEPT,origin", ["accept", "x"], "ACCEPT,origin, x"],
    ["Accept", ["accept"], "Accept"],
    ["*", ["accept"], "*"],
    ["Foo, *", ["accept"], "Foo, *"]
  ])("the response's own %j and the route's %j are told as %j", (own, route, told) => {
    expect(Vary.told(own, Vary.of(route))).toBe(told)
  })

  it("cookie and authorization name who is asking", () => {
    expect(["Cookie", "AUTHORIZATION"].map((name) => Vary.isPersonal(Vary.of(["accept", name])))).toEqual([true, true])
    expect(Vary.isPersonal(Vary.of(["accept", "cookie2", "x-authorization"]))).toBe(false)
  })

  it("nothing nominated, no variant", () => {
    expect(Vary.variant([], { accept: "a" })).toBe("")
  })

  it.each([
    ["a,b", "a, b"],
    ["a,b", "a\t ,\t b"],
    ["a,b", " a,b "],
    ["a, \"b, c\",d", "a,\"b, c\" , d"]
  ])("%j and %j select the same", (one, other) => {
    expect(variant(["x"], { x: one })).toBe(variant(["x"], { x: other }))
  })

  it.each([
    ["en;q=0.5", "EN ; Q=0.50"],
    ["en;q=1", "en"],
    ["en;q=1.000, de", "en,de"],
    ["en;q=0", "en;q=0.0"],
    ["en, , de,", "en,de"]
  ])("of preferences %j says the same as %j", (one, other) => {
    for (const name of ["accept", "accept-encoding", "accept-language"]) {
      expect(variant([name], { [name]: one })).toBe(variant([name], { [name]: other }))
    }
    expect(variant(["x"], { x: one })).not.toBe(variant(["x"], { x: other }))
  })

  it.each<[string | undefined, string | undefined]>([
    ["en;q=0.5", "en;q=0.6"],
    ["en;q=0.5", "en"],
    ["en;q=0", "en"],
    ["en", "de"],
    ["en,de", "en"],
    ["a/b;c=\"D\"", "a/b;c=\"d\""],
    ["", undefined],
    ["*", ""]
  ])("preferences %j and %j select apart", (one, other) => {
    const select = (accept: string | undefined) => variant(["accept"], accept === undefined ? {} : { accept })
    expect(select(one)).not.toBe(select(other))
  })

  it.each(["accept", "accept-encoding", "accept-language", "x"])("81: the order of %s is a wish of its own", (name) => {
    expect(variant([name], { [name]: "en, de" })).not.toBe(variant([name], { [name]: "de, en" }))
  })

  it("60: a spelling is its own, and says what it was made of", () => {
    const soup = fc.stringOf(fc.constantFrom(..."aA;=q1.0\", \t"), { maxLength: 14 })
    fc.assert(
      fc.property(fc.constantFrom("accept", "accept-language", "x"), fc.oneof(text, soup), (name, value) => {
        const spelling = Vary.canonical(name, value)
        expect(Vary.canonical(name, spelling)).toBe(spelling)
        expect(variant([name], { [name]: spelling })).toBe(variant([name], { [name]: value }))
      }),
      { examples: [["accept", ";=W/"]] }
    )
  })

  it("60: preferences are spelled in one way, and what else is named", () => {
    const fields = { "accept-language": " ,FR;q=1", "x": "a,b", "y": "a,b" }
    expect(Vary.spelled(fields, ["x"])).toEqual({ "accept-language": "fr", "x": "a, b", "y": "a,b" })
    const plain = { "accept": "text/html", "x": "a, b" }
    expect(Vary.spelled(plain, ["x"])).toBe(plain)
  })

  it.each<[string | undefined, string | undefined]>([
    ["a,b", "ab"],
    ["a,b", "b,a"],
    ["a,b", "a,,b"],
    ["a", "A"],
    ["a b", "ab"],
    ["a b", "a  b"],
    ["\"a, b\"", "\"a,b\""],
    ["\"a\", \"b\"", "\"a\" \"b\""],
    [undefined, ""],
    [undefined, "undefined"],
    [undefined, "null"],
    ["", "\"\""]
  ])("%j and %j select apart", (one, other) => {
    const select = (x: string | undefined) => variant(["x"], x === undefined ? {} : { x })
    expect(select(one)).not.toBe(select(other))
  })

  it.each(["constructor", "__proto__", "tostring", "valueof"])(
    "a nominated field %s is data: absent, empty and sent are three",
    (name) => {
      const records = ["{}", `{ "${name}": "" }`, `{ "${name}": "${name}" }`].map((json): Fields.Fields =>
        JSON.parse(json)
      )
      expect(new Set(records.map((record) => variant([name], record))).size).toBe(3)
      expect(variant([name], records[0]!)).toBe(variant([name], Fields.from([])))
    }
  )

  it("requests that differ in a nominated field, or in what is nominated, select apart", () => {
    // Without white space a value is its own normal form.
    const part = fc.constantFrom("\"", "[", "]", ",", "\\", "a", ":", "null", "\ud800", "\\ud800", "__proto__")
    const value = fc.option(fc.stringOf(part, { maxLength: 3 }), { nil: undefined })
    const name = fc.constantFrom("a", "b", "a\"", "a,b", "__proto__", "constructor")
    const request = fc.array(fc.tuple(name, value), { maxLength: 3 })
    fc.assert(fc.property(fc.array(request, { minLength: 2, maxLength: 60 }), (requests) => {
      const selected = new Map<string, string>()
      for (const nominated of requests) {
        const values = new Map(nominated)
        const fields = Fields.from([...values].flatMap(([name, value]) => value === undefined ? [] : [[name, value]]))
        const vary = Vary.of([...values.keys()])
        const meaning = JSON.stringify(vary.map((name) => [name, values.get(name) ?? null]))
        const variant = Vary.variant(vary, fields)
        expect(selected.get(variant) ?? meaning).toBe(meaning)
        selected.set(variant, meaning)
      }
      expect(selected.size).toBe(new Set(selected.values()).size)
    }))
  })

  it("what selects beside the fields selects apart, from each other and from fields of those names", () => {
    const fields = { a: "1", depth: "1", name: "1", rewritten: "1", content: "1" }
    const others = [{}, { depth: 1 }, { depth: 2 }, { name: "1" }, { rewritten: "1" }, { content: "1" }]
    const variants = others.flatMap((other) =>
      [[], ["a"], ["depth"], ["name"], ["rewritten"], ["content"]].map((vary) =>
        Vary.variant(vary, fields, { depth: 0, ...other })
      )
    )
    expect(new Set(variants).size).toBe(variants.length)
    expect(Vary.variant(["a"], fields, { depth: 0 })).toBe(Vary.variant(["a"], fields))
    expect(Vary.variant(["a"], { a: "1, 2" }, { depth: 1 })).toBe(Vary.variant(["a"], { a: "1,2" }, { depth: 1 }))
  })

  it.each(["accept", "accept-language", "x-a"])("85: what is longer than any preference is not read: %s", (name) => {
    const long = Array.from({ length: 400 }, (_, at) => `a${at};q=0.${at}`).join(", ")
    const [short, other] = ["fr, en;q=0.5", "fr,en;Q=0.50"]
    expect(variant([name], { [name]: long })).not.toBe(variant([name], { [name]: long.replaceAll(", ", ",") }))
    expect(variant([name], { [name]: long })).toBe(variant([name], { [name]: long }))
    expect(variant([name], { [name]: short }) === variant([name], { [name]: other })).toBe(name !== "x-a")
  })

  it("85: a list is asked for once, whatever its copies, and each list for itself", () => {
    const asked: Array<Vary.Vary> = []
    const remembered = Vary.remembered((vary) => String(asked.push(vary)))
    const answers = [["a"], ["a", "b"], [], ["a"], [], ["a", "b"]].map((vary) => remembered(vary))
    expect([answers, asked.length]).toEqual([["1", "2", "3", "1", "3", "2"], 3])
  })

  it("a field that isn't nominated changes nothing", () => {
    fc.assert(fc.property(text, text, (value, other) => {
      expect(variant(["x"], { x: value, y: other })).toBe(variant(["x"], { x: value }))
    }))
  })

  it("any text nominates names or selects for nobody", () => {
    fc.assert(fc.property(text, (value) => {
      const vary = Vary.parse(value)
      if (vary !== "*") expect(vary).toEqual(Vary.of(Fields.members(value)))
      expect(typeof Vary.told(value, ["accept"])).toBe("string")
    }))
  })
})
