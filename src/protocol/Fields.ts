/** Header fields as data: a record of lower-case names, the lines of a field joined by ", " (RFC 9110 §5.2). */

export type Fields = { readonly [name: string]: string }

/** Reads own properties only: the records of Node inherit from `Object.prototype`. */
export const get = (fields: Fields, name: string): string | undefined =>
  Object.hasOwn(fields, name) ? fields[name] : undefined

/** Adds a field, which may be named `__proto__`: records are like object literals, the quickest that there are. */
const put = (fields: { [name: string]: string }, name: string, value: string): void => {
  if (name !== "__proto__") fields[name] = value
  else Object.defineProperty(fields, name, { value, enumerable: true, configurable: true, writable: true })
}

export const from = (entries: Iterable<readonly [string, string]>): { [name: string]: string } => {
  const fields: { [name: string]: string } = {}
  for (const [name, value] of entries) put(fields, name, value)
  return fields
}

/** Whether these are the same fields in the same order. */
export const areSame = (some: Fields, others: Fields): boolean => {
  const names = Object.keys(others)
  const own = Object.keys(some)
  if (own.length !== names.length) return false
  for (let index = 0; index < names.length; index++) {
    const name = names[index]!
    if (own[index] !== name || some[name] !== others[name]) return false
  }
  return true
}

export const without = (fields: Fields, names: ReadonlySet<string>): { [name: string]: string } => {
  const others: { [name: string]: string } = {}
  for (const name of Object.keys(fields)) if (!names.has(name)) put(others, name, fields[name]!)
  return others
}

export const only = (fields: Fields, names: ReadonlyArray<string>): { [name: string]: string } => {
  const some: { [name: string]: string } = {}
  for (const name of Object.keys(fields)) if (names.includes(name)) put(some, name, fields[name]!)
  return some
}

/** A copy. `own`: the value in the place of each. */
export const copy = (fields: Fields, own = (value: string): string => value): { [name: string]: string } => {
  const copied: { [name: string]: string } = {}
  for (const name of Object.keys(fields)) put(copied, name, own(fields[name]!))
  return copied
}

/** A copy. What is set in JavaScript may be a number or a list; what is `undefined` can't be sent. */
export const texts = (fields: Fields): { [name: string]: string } =>
  copy(fields, (value) => value === undefined ? value : String(value))

/** A copy with these fields too. A spread of records that have other names each time takes ten times as long. */
export const merged = (fields: Fields, others: Fields): { [name: string]: string } => {
  const both = copy(fields)
  for (const name of Object.keys(others)) put(both, name, others[name]!)
  return both
}

// RFC 9110 §5.6.2
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

export const isToken = (text: string): boolean => token.test(text)

const value = /^[\t\x20-\x7e\x80-\xff]*$/

/** RFC 9110 §5.5: a line break in a value would split the message in two, and servers send no other control character. */
export const isValue = (text: string): boolean => value.test(text)

/** Whether each field has a name and a value that can be sent. */
export const areSendable = (fields: Fields): boolean => {
  for (const name of Object.keys(fields)) if (!isToken(name) || !isValue(fields[name]!)) return false
  return true
}

const isSpace = (text: string, index: number): boolean => text[index] === " " || text[index] === "\t"

/** Without the optional white space around it: space and tab only (RFC 9110 §5.6.3). */
export const trim = (text: string): string => {
  let start = 0
  let end = text.length
  while (start < end && isSpace(text, start)) start++
  while (end > start && isSpace(text, end - 1)) end--
  return text.slice(start, end)
}

/** The index of the quote that ends the quoted-string which begins at `start`; -1 when none does. */
const closingQuote = (text: string, start: number): number => {
  for (let index = start + 1; index < text.length; index++) {
    if (text[index] === "\\") index++
    else if (text[index] === "\"") return index
  }
  return -1
}

/**
 * The members of a list, trimmed, empty ones kept. A comma inside a quoted-string separates nothing; a quote that is
 * never closed is an ordinary character, so that it can't hide what follows it.
 */
export const split = (value: string): Array<string> => {
  const members: Array<string> = []
  let start = 0
  let quotes = true
  for (let index = 0; index < value.length; index++) {
    if (value[index] === ",") {
      members.push(trim(value.slice(start, index)))
      start = index + 1
    } else if (quotes && value[index] === "\"") {
      const end = closingQuote(value, index)
      if (end === -1) quotes = false
      else index = end
    }
  }
  members.push(trim(value.slice(start)))
  return members
}

/** The members of a list, empty ones dropped (RFC 9110 §5.6.1.2). */
export const members = (value: string): Array<string> => split(value).filter((member) => member !== "")

// RFC 9110 §7.6.1, RFC 9111 §3.1
const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
])

/** The options of `Connection`, lower-case: names of fields among them (RFC 9110 §7.6.1). */
const connectionOptions = (fields: Fields): Array<string> =>
  members(get(fields, "connection") ?? "").map((name) => name.toLowerCase())

/** Whether `Connection` says what most clients say, which nominates no field that there is. */
export const nominatesNone = (connection: string | undefined): boolean =>
  connection === undefined || connection === "keep-alive" || connection === "close"

/** What may be stored and sent on: neither hop-by-hop nor listed in `Connection`, nor one of `withheld`. */
export const endToEnd = (fields: Fields, withheld?: ReadonlySet<string>): { [name: string]: string } => {
  const connection = get(fields, "connection")
  const nominated = nominatesNone(connection) ? undefined : connectionOptions(fields)
  const kept: { [name: string]: string } = {}
  for (const name of Object.keys(fields)) {
    if (hopByHop.has(name) || nominated?.includes(name) === true || withheld?.has(name) === true) continue
    put(kept, name, fields[name]!)
  }
  return kept
}

/** Whether the client asks for another protocol on this connection (RFC 9110 §7.8); HTTP/2 without TLS is still HTTP. */
export const asksToUpgrade = (fields: Fields): boolean =>
  get(fields, "upgrade") !== undefined && connectionOptions(fields).includes("upgrade") &&
  members(get(fields, "upgrade") ?? "").some((protocol) => protocol.toLowerCase() !== "h2c")
