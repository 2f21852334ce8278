/** What a request is for (RFC 9112 §3.2). */

export interface Target {
  /** In origin-form, as it was sent: the proxy changes no path. `*` asks about the server. */
  readonly path: string
  /** Lower-case, without the default port; `""` when the request names none. */
  readonly host: string
}

/** What can be in a request target: no space, no control character, no fragment. */
const characters = /^[!"$-~\x80-\xff]+$/
const absolute = /^http:\/\/([^/?]+)(.*)$/i
/** Without user information, which HTTP has not (RFC 9110 §4.2.4). */
const authority = /^(?:\[[\da-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})+)(?::\d*)?$/i

/** `undefined` for what is neither in origin-form nor an absolute `http` URI, and for a host that is none. */
export const parse = (method: string, requestTarget: string, hostField: string): Target | undefined => {
  if (!characters.test(requestTarget)) return undefined
  // The authority of the target replaces the Host field (RFC 9112 §3.2.2).
  const [, named = hostField, rest = requestTarget] = absolute.exec(requestTarget) ?? []
  if (!(hostField === "" || authority.test(hostField)) || !(named === "" || authority.test(named))) return undefined
  const host = named.toLowerCase().replace(/:(?:80)?$/, "")
  const isAbsolute = rest !== requestTarget
  if (method === "OPTIONS" && (isAbsolute ? rest === "" : rest === "*")) return { path: "*", host }
  if (isAbsolute && !rest.startsWith("/")) return { path: `/${rest}`, host }
  return rest.startsWith("/") ? { path: rest, host } : undefined
}
