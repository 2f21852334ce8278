/**
 * Revalidation: is what is stored still current? The origin is asked by a conditional request, and its answer says so
 * (RFC 9111 §4.3).
 */
import * as EntityTag from "./EntityTag.js"
import * as Fields from "./Fields.js"
import * as Preconditions from "./Preconditions.js"
import * as Range from "./Range.js"
import * as Reuse from "./Reuse.js"

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
 * Whether an answer about the stored content gives it the same codings and the same type, which equal tags don't prove. One of
 * the two may say more of the type, such as a charset.
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
    const [ours, theirs] = [EntityTag.inFields(stored), EntityTag.inFields(notModified)]
    if (theirs === undefined) return etag === Fields.get(stored, "etag")
    const equals = theirs.weak ? EntityTag.weakEquals : EntityTag.strongEquals
    return ours !== undefined && equals(ours, theirs)
  }
  const lastModified = Fields.get(notModified, "last-modified")
  const ours = Fields.get(stored, "last-modified")
  return lastModified === undefined || ours === undefined || lastModified === ours
}

/**
 * Whether it is an answer in full, after which what was stored is out of date (RFC 9111 §4.3.3). A `5xx` is none. Of the `4xx`
 * only `404` and `410` are: the others refuse one client only.
 */
export const supersedes = (method: string, status: number): boolean =>
  method !== "HEAD" && saysWhatIs(status) && status !== 206 && status !== 304

/** Whether a `206` is of the stored representation: they share a strong validator (RFC 9111 §3.4). */
export const isOfSame = (stored: Fields.Fields, part: Fields.Fields): boolean => {
  const [ours, theirs] = [EntityTag.inFields(stored), EntityTag.inFields(part)]
  return isReadAlike(stored, part) && ours !== undefined && theirs !== undefined && EntityTag.strongEquals(ours, theirs)
}

/** Whether a `200` to `HEAD` is about the stored response to `GET` (RFC 9111 §4.3.5). */
export const headIsAbout = (stored: Fields.Fields, head: Fields.Fields): boolean =>
  isReadAlike(stored, head) && ["etag", "last-modified", "content-length"].every((name) => {
    const value = Fields.get(head, name)
    return value === undefined || value === Fields.get(stored, name)
  })

/**
 * Whether a `HEAD` about the stored response proves that this is current. A handler that answers it without content gets no tag
 * from a cache; without a validator the content may have changed.
 */
export const headTells = (stored: Fields.Fields, head: Fields.Fields): boolean =>
  conditions(head) !== undefined || conditions(stored) === undefined

/** The length is that of the content, a range is of the answer that had it, and cookies are of one client. */
const kept = new Set(["content-length", "content-range", "set-cookie"])

/** The fields of a stored response, updated by those of a newer answer about it (RFC 9111 §3.2). */
export const update = (stored: Fields.Fields, newer: Fields.Fields): { [name: string]: string } =>
  Fields.merged(stored, Fields.endToEnd(newer, kept))

/** What is asked of the origin about a stored response: is it still current, or, of a part, what is the rest of it? */
export const question = (
  stored: { readonly headers: Fields.Fields; readonly range?: Range.Extent | undefined },
  request: Fields.Fields
): Fields.Fields | undefined => {
  if (Preconditions.isForOrigin(request)) return undefined
  if (stored.range === undefined) return conditions(stored.headers)
  if (Range.isAsked(request)) return undefined
  return Range.completing(stored.range, EntityTag.textIn(stored.headers) ?? "")
}

/**
 * What the answer to our question makes of what is stored: it is the client's as it is, it freshens what is stored, it may
 * complete a part, or it answers nothing but the question. An error is forwarded (RFC 9111 §4.3.3), unless a range that the
 * client did not ask for may have caused it. `status` is that of the answer as a whole.
 */
export const resolve = (
  stored: { readonly status: number; readonly headers: Fields.Fields; readonly range?: Range.Extent | undefined },
  own: { readonly status: number; readonly fields: Fields.Fields },
  status: number
): "answer" | "freshened" | "completed" | "nothing" => {
  const isPart = stored.range !== undefined
  if (status === 200 || (!isPart && status === stored.status)) return "answer"
  if (isPart) return "completed"
  if (own.status === 304) return isAbout(stored.headers, own.fields) ? "freshened" : "nothing"
  return own.status === 206 || Reuse.isError(own.status) ? "answer" : "nothing"
}

/** What a request must have to be for a stored response, and whose that is: a partition's, with all that names it. */
export const fieldsForNobody = (
  request: Fields.Fields,
  selecting: ReadonlyArray<string>,
  isPartitioned: boolean
): Fields.Fields =>
  Fields.only(request, ["host", ":authority", ...selecting, ...(isPartitioned ? ["cookie", "authorization"] : [])])

/** Whether an answer says what the resource is now, or that it is gone: not where it failed, or refused one client. */
export const saysWhatIs = (status: number): boolean => status < 400 || status === 404 || status === 410
