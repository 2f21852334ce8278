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

const spaces = /[ \t]*([,;])[ \t]*/g

/** What a field says that tells how the content is read; without a coding there is none. */
const readAs = (fields: Fields.Fields, name: string): string => {
  const value = Fields.trim(Fields.get(fields, name) ?? "").replace(spaces, "$1").toLowerCase()
  return value === "identity" ? "" : value
}

/** Whether the stored content is what an answer about it describes, of which a tag may say nothing. */
const isReadAlike = (stored: Fields.Fields, newer: Fields.Fields): boolean =>
  ["content-encoding", "content-type"].every((name) =>
    Fields.get(newer, name) === undefined || readAs(newer, name) === readAs(stored, name)
  )

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
