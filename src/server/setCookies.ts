/** `Set-Cookie` lines, byte for byte. The platform keeps cookies by their names, and one field beside them. */
import * as Cookies from "@effect/platform/Cookies"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"

/** As Node's server sends them. A field of several lines is a list there, which no type says. */
export const linesOf = (cookies: Cookies.Cookies, field: unknown): ReadonlyArray<string> => [
  ...Cookies.toSetCookieHeaders(cookies),
  ...(Array.isArray(field) ? field.map(String) : typeof field === "string" ? [field] : [])
]

const prototype: object = Object.getPrototypeOf(Cookies.unsafeMakeCookie("name", "value")) as object

/** Whether the platform writes the cookie as this line: some it does not write at all. */
const isWrittenAs = (cookie: Cookies.Cookie, line: string): boolean => {
  try {
    return Cookies.serializeCookie(cookie) === line
  } catch {
    return false
  }
}

/** A cookie that is written as the line, which has a `=`; where there can be none, the one that says the same. */
const cookieOf = (line: string): Cookies.Cookie => {
  const [read] = Object.values(Cookies.fromSetCookie(line).cookies)
  if (read !== undefined && isWrittenAs(read, line)) return read
  const end = line.indexOf("=")
  const own = { name: line.slice(0, end), value: read?.value ?? "", valueEncoded: line.slice(end + 1) }
  const cookie = Object.assign(Object.create(prototype), own) as Cookies.Cookie
  return read === undefined || isWrittenAs(cookie, line) ? cookie : read
}

const isCookie = (line: string): boolean => line.includes("=") && isWrittenAs(cookieOf(line), line)

/** Under its name where it is the first of that name, so that it is found. Keys that are numbers would go first. */
const cookiesOf = (lines: ReadonlyArray<string>): Cookies.Cookies => {
  const cookies: Record<string, Cookies.Cookie> = {}
  for (const [index, line] of lines.entries()) {
    const cookie = cookieOf(line)
    const isKey = !Object.hasOwn(cookies, cookie.name) && !/^\d+$/.test(cookie.name) && cookie.name !== "__proto__"
    cookies[isKey ? cookie.name : `line ${index}`] = cookie
  }
  return Cookies.fromReadonlyRecord(cookies)
}

/**
 * The cookies and the field of a response that is sent with these lines, in their order. A line without `=`, or one that the
 * platform would not write, can't be a cookie of the platform. Node's server takes all lines as a list in the field. The web
 * adapter takes only one in the field; another one without `=` is written with it, which says the same (RFC 6265bis §5.6).
 */
const placesOf = (lines: ReadonlyArray<string>, { source }: Pick<HttpServerRequest, "source">) => {
  if (!(source instanceof Request)) return { cookies: Cookies.empty, field: lines }
  const first = lines.findIndex((line) => !isCookie(line))
  const others = lines.filter((_, index) => index !== first)
  return { cookies: cookiesOf(others.map((line) => line.includes("=") ? line : `=${line}`)), field: lines[first] }
}

/** The response, which is ours to change, with these lines and no others. */
export const withLines = (
  response: HttpServerResponse.HttpServerResponse,
  lines: ReadonlyArray<string> | undefined,
  request: Pick<HttpServerRequest, "source">
): HttpServerResponse.HttpServerResponse => {
  if (lines === undefined) return response
  const { cookies, field } = lines.every(isCookie)
    ? { cookies: cookiesOf(lines), field: undefined }
    : placesOf(lines, request)
  // A response is made with a field of one line only.
  if (field !== undefined) Object.assign(response.headers, { "set-cookie": field })
  return HttpServerResponse.replaceCookies(response, cookies)
}
