/** What an endpoint of an `HttpApi` declares that its response is made of: search parameters and request fields. */
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { isSelected, type QuerySelection } from "../protocol/CacheKey.js"
import { uncounted } from "../protocol/Reads.js"
import * as Vary from "../protocol/Vary.js"

type Endpoint = HttpApiEndpoint.HttpApiEndpoint.AnyWithProps

type Declared = Option.Option<Schema.Schema.All>

/** The names that a schema has on the wire; `"all"`: any name may be one of them. */
const namesOf = (ast: AST.AST): ReadonlyArray<string> | "all" => {
  if (AST.isUnion(ast)) return joined(ast.types.map(namesOf))
  if (AST.isSuspend(ast)) return namesOf(ast.f())
  if (!AST.isTypeLiteral(ast) || ast.indexSignatures.length > 0) return "all"
  return ast.propertySignatures.map(({ name }) => String(name))
}

const joined = (each: ReadonlyArray<ReadonlyArray<string> | "all">): ReadonlyArray<string> | "all" =>
  each.includes("all") ? "all" : [...new Set(each.flat())]

const namesIn = (schema: Declared): ReadonlyArray<string> | "all" =>
  Option.match(schema, { onNone: () => [], onSome: ({ ast }) => namesOf(AST.encodedAST(ast)) })

/** The search parameters that an endpoint declares; the payload of a `GET` is made of them too. `undefined`: none. */
export const queryOf = ({ payloadSchema, urlParamsSchema }: Endpoint): QuerySelection | undefined => {
  const schemas = [urlParamsSchema, payloadSchema].filter(Option.isSome)
  if (schemas.length === 0) return undefined
  const names = joined(schemas.map(namesIn))
  return names === "all" ? "all" : { only: names }
}

/** Whether a handler that is given what `declared` selects is given nothing that `selection` leaves out of the key. */
export const isKeyed = (selection: QuerySelection, declared: QuerySelection | undefined): boolean => {
  if (selection === "all" || declared === undefined || selection === declared) return true
  if (typeof declared === "string" || declared.only === undefined) return false
  return declared.only.every((name) => isSelected(name, selection))
}

/** The request fields that an endpoint declares, but for those that say who is asking and those that HTTP evaluates itself. */
export const fieldsOf = ({ headersSchema }: Endpoint): Vary.Vary => {
  const names = namesIn(headersSchema)
  if (names === "all") return []
  return Vary.of(names).filter((name) => !Vary.isPersonal([name]) && !uncounted.has(name))
}

/** Whether an endpoint declares one of these request fields, by their lower-case names. */
export const declaresField = ({ headersSchema }: Endpoint, fields: ReadonlyArray<string>): boolean => {
  const names = namesIn(headersSchema)
  return names !== "all" && names.some((name) => fields.includes(name.toLowerCase()))
}
