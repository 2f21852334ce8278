/** What an endpoint of an `HttpApi` declares that its response is made of: search parameters and request fields. */
import * as AST from "effect/SchemaAST"
import { isSelected, type QuerySelection } from "../protocol/CacheKey.js"
import { uncounted } from "../protocol/Reads.js"
import * as Vary from "../protocol/Vary.js"
import { type Endpoint, fieldsOf as declaredFields, searchOf } from "./platform.js"

/** The names that a schema has on the wire; `"all"`: any name may be one of them. */
const namesOf = (ast: AST.AST): ReadonlyArray<string> | "all" => {
  if (AST.isUnion(ast)) return joined(ast.types.map(namesOf))
  if (AST.isSuspend(ast)) return namesOf(ast.f())
  if (!AST.isTypeLiteral(ast) || ast.indexSignatures.length > 0) return "all"
  return ast.propertySignatures.map(({ name }) => String(name))
}

const joined = (each: ReadonlyArray<ReadonlyArray<string> | "all">): ReadonlyArray<string> | "all" =>
  each.includes("all") ? "all" : [...new Set(each.flat())]

/** The search parameters that an endpoint declares. `undefined`: none. */
export const queryOf = (endpoint: Endpoint): QuerySelection | undefined => {
  const schemas = searchOf(endpoint)
  if (schemas.length === 0) return undefined
  const names = joined(schemas.map(namesOf))
  return names === "all" ? "all" : { only: names }
}

/** Whether a handler that is given what `declared` selects is given nothing that `selection` leaves out of the key. */
export const isKeyed = (selection: QuerySelection, declared: QuerySelection | undefined): boolean => {
  if (selection === "all" || declared === undefined || selection === declared) return true
  if (typeof declared === "string" || declared.only === undefined) return false
  return declared.only.every((name) => isSelected(name, selection))
}

const fieldNames = (endpoint: Endpoint): ReadonlyArray<string> => {
  const fields = declaredFields(endpoint)
  const names = fields === undefined ? [] : namesOf(fields)
  return names === "all" ? [] : names
}

/** The request fields that an endpoint declares, but for those that say who is asking and those that HTTP evaluates itself. */
export const fieldsOf = (endpoint: Endpoint): Vary.Vary =>
  Vary.of(fieldNames(endpoint)).filter((name) => !Vary.isPersonal([name]) && !uncounted.has(name))

/** Whether an endpoint declares one of these request fields, by their lower-case names. */
export const declaresField = (endpoint: Endpoint, fields: ReadonlyArray<string>): boolean =>
  fieldNames(endpoint).some((name) => fields.includes(name.toLowerCase()))
