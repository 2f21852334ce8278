/** Entity tags (RFC 9110 §8.8.3). */
import * as Fields from "./Fields.js"
import { remembering } from "./Remembering.js"

export interface EntityTag {
  readonly weak: boolean
  /** What stands between the quotes. */
  readonly opaque: string
}

const member = /(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?=,|$)/y

const at = (text: string, index: number): EntityTag | undefined => {
  member.lastIndex = index
  const match = member.exec(text)
  return match === null ? undefined : { weak: match[1] !== undefined, opaque: match[2]! }
}

/** `undefined` when the text isn't exactly one entity tag. */
export const parse = (text: string | undefined): EntityTag | undefined => {
  const tag = text === undefined ? undefined : at(text, 0)
  return tag !== undefined && format(tag).length === text?.length ? tag : undefined
}

export const format = (tag: EntityTag): string => `${tag.weak ? "W/" : ""}"${tag.opaque}"`

/** A list of tags as in `If-Match`, or `*`. What can't be read is left out; a tag may contain commas. */
export const parseList = (text: string): ReadonlyArray<EntityTag> | "*" => {
  if (text.trim() === "*") return "*"
  const tags: Array<EntityTag> = []
  let index = 0
  while (index < text.length) {
    if (text[index] === "," || text[index] === " " || text[index] === "\t") {
      index++
      continue
    }
    const tag = at(text, index)
    if (tag !== undefined) tags.push(tag)
    const comma = text.indexOf(",", tag === undefined ? index : member.lastIndex)
    index = comma === -1 ? text.length : comma + 1
  }
  return tags
}

// RFC 9110 §8.8.3.2
export const strongEquals = (a: EntityTag, b: EntityTag): boolean => !a.weak && !b.weak && a.opaque === b.opaque

export const weakEquals = (a: EntityTag, b: EntityTag): boolean => a.opaque === b.opaque

/** The tag of a response, or what is to be one. */
export const textIn = (response: Fields.Fields): string | undefined => Fields.get(response, "etag")

/** The tag of a response; `undefined` where it has none. */
export const inFields = (response: Fields.Fields): EntityTag | undefined => parse(textIn(response))

export const put = (response: { [name: string]: string }, tag: string): void => {
  response["etag"] = tag
}

/** What makes another representation, or another request, of the same bytes (RFC 9110 §8.3 to §8.5, §8.8.3.3). */
export const describing = ["content-type", "content-encoding", "content-language"]

/** The digests of what describes content, which is the same for many responses. */
const descriptionBy = remembering(300)

/** The tag of content with these fields. `digest`: 32 bytes or more as text. */
export const make = (
  response: Fields.Fields,
  content: Uint8Array,
  strength: "strong" | "weak",
  digest: (content: Uint8Array | string) => string
): string => {
  const described = describing.map((name) => Fields.get(response, name) ?? "").join("\n")
  const description = descriptionBy(described, () => digest(described).slice(0, 9))
  return format({ weak: strength === "weak", opaque: digest(content).slice(0, 18) + description })
}
