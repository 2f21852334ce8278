/** Answers made of other answers and of what is stored. */
import { createHash, hash } from "node:crypto"
import type { CacheItem } from "../CacheItem.js"
import * as EntityTag from "../protocol/EntityTag.js"
import * as Fields from "../protocol/Fields.js"
import * as Range from "../protocol/Range.js"
import * as Validation from "../protocol/Validation.js"
import * as Body from "./body.js"
import { type Answer, cookiesOf } from "./origin.js"

/** One call where Node has it, from 20.12. */
export const digest = (content: Uint8Array | string): string =>
  typeof hash === "function"
    ? hash("sha256", content, "base64url")
    : createHash("sha256").update(content).digest("base64url")

/** Adds the entity tag that the route wants, where the handler has set none. */
export const addTag = (
  fields: { [name: string]: string },
  body: Body.Body,
  strength: "strong" | "weak" | "none"
): void => {
  const content = Body.bytesOf(body)
  if (content === undefined || strength === "none" || EntityTag.textIn(fields) !== undefined) return
  EntityTag.put(fields, EntityTag.make(fields, content, strength, digest))
}

/** Which bytes of the whole a `206` has. */
export const extentOf = (answer: Answer): Range.Extent | undefined =>
  Range.extentOfAnswer(answer.status, answer.fields, Body.bytesOf(answer.body)?.byteLength ?? Range.saidLength(answer))

/** A `206` that has all there is, as the `200` that it is (RFC 9110 §15.3.7). */
export const asWhole = (own: Answer, etag: "strong" | "weak" | "none"): Answer => {
  const extent = extentOf(own)
  if (extent === undefined || !Range.isWhole(extent)) return own
  const fields = Range.fieldsOfWhole(own.fields, extent)
  addTag(fields, own.body, etag)
  return { ...own, status: 200, statusText: undefined, fields }
}

/**
 * What is stored, with the fields of a newer answer about it: the whole that a `304` stands for, or `completed`, to which a
 * `206` completes it.
 */
export const freshened = (item: CacheItem, newer: Answer, completed?: Body.Body): Answer => {
  const fields = Validation.update(item.headers, newer.fields)
  if (completed !== undefined && item.range !== undefined) Range.setLength(fields, item.range.size)
  return {
    status: completed === undefined ? item.status : 200,
    statusText: undefined,
    fields,
    cookies: cookiesOf(newer.cookies.lines.length > 0 ? newer.cookies.lines : item.cookies),
    body: completed ?? Body.ofBytes(item.body),
    isStored: true
  }
}

/** A stored stream has the length and the tag that it could not have while it was one. */
export const withContent = (item: CacheItem, body: Uint8Array, etag: "strong" | "weak" | "none"): CacheItem => {
  const headers = Fields.copy(item.headers)
  Range.setLength(headers, body.byteLength)
  if (item.status === 200) addTag(headers, Body.ofBytes(body), etag)
  return { ...item, body, headers }
}
