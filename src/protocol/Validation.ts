/** Is what is stored still current? Asking the origin, and what its answer says (RFC 9111 §4.3). */
import * as EntityTag from "./EntityTag.js"
import * as Fields from "./Fields.js"

/** The conditions that ask for a stored response; `undefined` when it has no validator (RFC 9111 §4.3.1). */
export const conditions = (stored: Fields.Fields): { readonly [name: string]: string } | undefined => {
  const etag = Fields.get(stored, "etag")
  const lastModified = Fields.get(stored, "last-modified")
  if (etag === undefined && lastModified === undefined) return undefined
  return {
    ...(etag === undefined ? {} : { "if-none-match": etag }),
    ...(lastModified === undefined ? {} : { "if-modified-since": lastModified })
  }
}

const tagOf = (fields: Fields.Fields): EntityTag.EntityTag | undefined => {
  const etag = Fields.get(fields, "etag")
  return etag === undefined ? undefined : EntityTag.parse(etag)
}

const codingsOf = (fields: Fields.Fields): string =>
  Fields.members(Fields.get(fields, "content-encoding") ?? "").filter((coding) => !/^identity$/i.test(coding))
    .join().toLowerCase()

/** The type itself, then its parameters by their names. */
const typeOf = (fields: Fields.Fields): ReadonlyMap<string, string> => {
  const [type = "", ...parameters] = (Fields.get(fields, "content-type") ?? "").toLowerCase().split(";").map(
    Fields.trim
  )
  const named = parameters.map((parameter) => parameter.split("=", 2).map((part) => part.replaceAll("\"", "").trim()))
  return new Map([["", type], ...named.map(([name = "", value = ""]): [string, string] => [name, value])])
}

/**
 * Whether the stored content is read as an answer about it says, of which a tag may say nothing: with the same codings, and
 * as the same type, of which one may say more, such as a charset.
 */
const isReadAlike = (stored: Fields.Fields, newer: Fields.Fields): boolean => {
  if (Fields.get(newer, "content-encoding") !== undefined && codingsOf(newer) !== codingsOf(stored)) return false
  if (Fields.get(newer, "content-type") === undefined) return true
  const type = typeOf(stored)
  return [...typeOf(newer)].every(([name, value]) => !type.has(name) || type.get(name) === value)
}

/**
 * Whether a `304` is about the stored response that was asked for: its validator is that one's, or it has none
 * (RFC 9111 §4.3.4). A validator that is no entity tag, without quotes, is one by its text.
 */
export const isAbout = (stored: Fields.Fields, notModified: Fields.Fields): boolean => {
  if (!isReadAlike(stored, notModified)) return false
  const etag = Fields.get(notModified, "etag")
  if (etag !== undefined) {
    const [ours, theirs] = [tagOf(stored), tagOf(notModified)]
    if (theirs === undefined) return etag === Fields.get(stored, "etag")
    const equals = theirs.weak ? EntityTag.weakEquals : EntityTag.strongEquals
    return ours !== undefined && equals(ours, theirs)
  }
  const lastModified = Fields.get(notModified, "last-modified")
  const ours = Fields.get(stored, "last-modified")
  return lastModified === undefined || ours === undefined || lastModified === ours
}

/**
 * An answer in full, after which what was stored is out of date (RFC 9111 §4.3.3). An error is none, and of what is
 * refused to one client only `404` and `410` say that nobody is to have it.
 */
export const supersedes = (method: string, status: number): boolean =>
  method !== "HEAD" && (status === 404 || status === 410 || (status < 400 && status !== 206 && status !== 304))

/** Whether a `206` is of the stored representation: they share a strong validator (RFC 9111 §3.4). */
export const isOfSame = (stored: Fields.Fields, part: Fields.Fields): boolean => {
  const [ours, theirs] = [tagOf(stored), tagOf(part)]
  return isReadAlike(stored, part) && ours !== undefined && theirs !== undefined && EntityTag.strongEquals(ours, theirs)
}

/** Whether a `200` to `HEAD` is about the stored response to `GET` (RFC 9111 §4.3.5). */
export const headIsAbout = (stored: Fields.Fields, head: Fields.Fields): boolean =>
  isReadAlike(stored, head) && ["etag", "last-modified", "content-length"].every((name) => {
    const value = Fields.get(head, name)
    return value === undefined || value === Fields.get(stored, name)
  })

/** The length is that of the content, and a range is of the answer that had it. */
const kept = new Set(["content-length", "content-range"])

/** The fields of a stored response, updated by those of a newer answer about it (RFC 9111 §3.2). */
export const update = (stored: Fields.Fields, newer: Fields.Fields): { [name: string]: string } =>
  Fields.from([...Object.entries(stored), ...Object.entries(Fields.without(Fields.endToEnd(newer), kept))])
