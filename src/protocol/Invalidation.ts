/** What must be forgotten? (RFC 9111 §4.4) */
import * as CacheKey from "./CacheKey.js"
import * as Fields from "./Fields.js"

/** RFC 9110 §9.2.1 and the registry of methods; an unknown method counts as unsafe. */
const safe = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND", "REPORT", "SEARCH"])

export const isSafe = (method: string): boolean => safe.has(method.toUpperCase())

/** The target URI and those of the same origin that `Location` and `Content-Location` name; none after an error. */
export const targets = (
  method: string,
  target: CacheKey.Target,
  status: number,
  response: Fields.Fields
): ReadonlyArray<CacheKey.Target> => {
  if (isSafe(method) || status < 200 || status >= 400) return []
  const found = [target]
  for (const name of ["location", "content-location"]) {
    const reference = Fields.get(response, name)
    if (reference === undefined) continue
    found.push(...CacheKey.resolveAll(reference, target).filter(({ origin }) => origin === target.origin))
  }
  return found
}
