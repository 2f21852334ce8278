/** Content that was decoded on its way, as `fetch` does, which leaves the fields as they were on the wire (RFC 9110 §8.4). */
import * as Fields from "./Fields.js"

/** What every `fetch` decodes. */
const decodable = new Set(["br", "deflate", "gzip", "identity", "x-gzip"])

/** What is so of the coded content only. */
const ofCoded = new Set(["content-digest", "content-encoding", "content-length", "content-md5", "repr-digest"])

/** The fields of the decoded content; `undefined` where it can't be told whether all of it was decoded, as of a part. */
export const decoded = (status: number, fields: Fields.Fields): { [name: string]: string } | undefined => {
  const codings = Fields.members(Fields.get(fields, "content-encoding") ?? "")
  if (codings.length === 0) return Fields.copy(fields)
  const isDecoded = status !== 206 && codings.every((coding) => decodable.has(coding.toLowerCase()))
  return isDecoded ? Fields.without(fields, ofCoded) : undefined
}
