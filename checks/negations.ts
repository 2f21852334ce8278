/** A way to break each rule of docs/rfc9111.md: in a function that its row names, what is put in the place of what. */
import type { Mutation } from "./mutation.js"

type Negation = readonly [rule: string, source: string, mutated: string]

const negate = (within: string, list: ReadonlyArray<Negation>): ReadonlyArray<Mutation> =>
  list.map(([what, source, mutated]) => ({ what, within, source, mutated }))

export const negations: ReadonlyArray<Mutation> = [
  ...negate("Storability.decide", [
    ["3-method", "exchange.method !== \"GET\" && exchange.method !== \"QUERY\"", "false"],
    [
      "3-partial-status",
      "status === 206 && (extent === undefined || exchange.hasWhole || !hasStrongTag(exchange.response))",
      "false"
    ],
    ["3-final-status", "status < 200 || status > 599", "false"],
    ["3-not-modified-status", "if (status === 304)", "if (false)"],
    ["3-must-understand", "directives.mustUnderstand && !understood.has(status)", "false"],
    ["3-no-store", "directives.noStore && !directives.mustUnderstand", "false"],
    ["3-freshness", "if (lifetime === undefined)", "if (false)"],
    [
      "3.1-all-fields",
      "storedFields(exchange.response, names, extent)",
      "Fields.from([[\"cache-control\", exchange.response[\"cache-control\"]!]])"
    ],
    ["4.2.2-explicit", ": stated ?? (policy.expiry === undefined", ": (policy.expiry === undefined"],
    ["4.2.4-prohibited", "!staleForbidden && ", ""],
    ["5.2.1.5-no-store", "if (exchange.requestNoStore)", "if (false)"],
    ["5.2.2.2-disconnected", "directives.mustRevalidate || ", ""],
    ["5.2.2.3-ignore-no-store", " && !directives.mustUnderstand", ""],
    ["5.2.2.4-no-cache", "alwaysValidate: directives.noCache === \"all\"", "alwaysValidate: false"],
    ["5.2.2.4-stale", " && directives.noCache !== \"all\"", ""],
    ["5.2.2.5-no-store", "directives.noStore && !directives.mustUnderstand", "false"],
    ["5.2.2.8-proxy-revalidate", "directives.proxyRevalidate || ", ""],
    ["5.2.2.10-stale", "directives.proxyRevalidate || directives.sMaxAge !== undefined", "directives.proxyRevalidate"]
  ]),
  ...negate("Storability.personal", [
    ["3-private", "directives.private === \"all\" || ", ""],
    ["3-authorization", "isAuthorized && !directives.permitsAuthorization", "false"],
    ["3.5-authorization", "Fields.get(exchange.request, \"authorization\") !== undefined", "false"]
  ]),
  ...negate("Storability.qualified", [
    ["5.2.2.4-qualified", "typeof directives.noCache === \"object\" ? directives.noCache : []", "[] as Array<string>"],
    [
      "5.2.2.7-qualified",
      "typeof directives.private === \"object\" && partition === \"\" ? directives.private : []",
      "[] as Array<string>"
    ]
  ]),
  ...negate("Reuse.decide", [
    ["3.3-incomplete", "if (!request.isHeld)", "if (false)"],
    ["4-no-cache", "stored.alwaysValidate || ", ""],
    ["4-fresh", "ttl <= 0", "ttl < 0"],
    ["4.2.4-permitted", " && -ttl <= request.maxStale * 1000", ""],
    ["4.3.2-semantics", "if (request.forOrigin || request.noCache)", "if (request.noCache)"],
    [
      "5.2.2.2-must-revalidate",
      "!(isAccepted || isInWindow || standsIn) || stored.staleForbidden",
      "!(isAccepted || isInWindow || standsIn)"
    ]
  ]),
  ...negate("Freshness.heuristicLifetime", [
    ["4.2.2-status", "!heuristicallyCacheable.has(status) && !directives.public", "false"]
  ]),
  ...negate("Freshness.initialAge", [
    ["4.2.3-delay", " + Math.max(0, times.responseTime - times.requestTime)", ""]
  ]),
  ...negate("Freshness.ageValue", [
    ["5.1-first", "?? \"\")[0])", "?? \"\").at(-1))"]
  ]),
  ...negate("Freshness.explicitLifetime", [
    ["5.2.2.1-max-age", "directives.sMaxAge ?? directives.maxAge", "directives.sMaxAge"],
    ["5.2.2.10-overrides", "directives.sMaxAge ?? directives.maxAge", "directives.maxAge ?? directives.sMaxAge"],
    ["5.3-invalid", "time === undefined ? 0 :", "time === undefined ? undefined :"],
    ["5.3-max-age", "if (stated !== undefined)", "if (stated !== undefined && !(\"expires\" in response))"],
    ["5.3-s-maxage", "if (stated !== undefined)", "if (stated !== undefined && !(\"expires\" in response))"]
  ]),
  ...negate("CacheControl.says", [
    ["3.5-conforms", "d.valid && d.value", "d.value"]
  ]),
  ...negate("CacheControl.bindingOf", [
    [
      "5.2.2.2-never-ignored",
      "mustRevalidate: has(directives, \"must-revalidate\")",
      "mustRevalidate: says(directives, \"must-revalidate\")"
    ]
  ]),
  ...negate("CacheControl.freshness", [
    [
      "4.2.1-conflict",
      "values.every((value) => value === values[0]) ? values[0] : 0",
      "values.length === 0 ? undefined : Math.max(...values)"
    ]
  ]),
  ...negate("CacheControl.seconds", [
    ["5.1-invalid", "/^\\d+$/.test(text)", "Number(text) >= 0"]
  ]),
  ...negate("CacheControl.forClients", [
    ["5.2-pass", "if (added.length === 0) return own", "if (added.length === 0) return undefined"]
  ]),
  ...negate("CacheControl.parse", [
    ["5.2.2-obey", "const name = match[1]!.toLowerCase()", "const name = match[1]!"]
  ]),
  ...negate("CacheControl.restriction", [
    ["5.2.2.7-private", "!names.every(Fields.isToken)) return \"all\"", "!names.every(Fields.isToken)) continue"]
  ]),
  ...negate("CacheControl.has", [
    ["5.2.3-unknown", "directives.some((d) => d.name === name)", "directives.some((d) => d.name.includes(name))"]
  ]),
  ...negate("Validation.update", [
    ["3.2-update", "Fields.endToEnd(newer, kept)", "{}"]
  ]),
  ...negate("Validation.conditions", [
    ["4.3.1-tags", "...(etag === undefined ? {} : { \"if-none-match\": etag }),", ""],
    ["4.3.1-modified", "...(lastModified === undefined ? {} : { \"if-modified-since\": lastModified })", ""]
  ]),
  ...negate("Validation.isAbout", [
    ["4.3.4-strong", "ours !== undefined && equals(ours, theirs)", "true"]
  ]),
  ...negate("Validation.headIsAbout", [
    ["4.3.5-matches", "value === undefined || value === Fields.get(stored, name)", "true"]
  ]),
  ...negate("Range.extentOf", [
    ["3.3-understood", "first <= last && last < size && said === (bytes ?? said)", "true"]
  ]),
  ...negate("Range.completing", [
    ["3.4-same", "`bytes=${last + 1}-`, \"if-range\": etag", "`bytes=${last + 1}-`"]
  ]),
  ...negate("Range.join", [
    ["3.4-client", "if (!meets(stored, added))", "if (meets(stored, added))"]
  ]),
  ...negate("Preconditions.evaluateResponse", [
    ["4.3.2-evaluate", "answer.status !== 200 && answer.status !== 206", "true"]
  ]),
  ...negate("Preconditions.evaluate", [
    ["4.3.2-origin-only", "if (options.isOrigin)", "if (true)"],
    [
      "4.3.2-precedence",
      "if (ifNoneMatch !== undefined)",
      "if (ifNoneMatch !== undefined && field(\"if-modified-since\") === undefined)"
    ],
    ["4.3.2-date", "current?.lastModified ?? current?.date", "current?.lastModified"]
  ]),
  ...negate("Vary.variant", [
    ["4-nominated", "value === undefined ? [name] : [name, canonical(name, value)]", "[name, \"\"]"],
    ["4.1-match", "[name, canonical(name, value)]", "[name, canonical(name, value.toLowerCase())]"],
    ["4.1-absent", "const value = Fields.get(request, name)", "const value = Fields.get(request, name) ?? \"\""]
  ]),
  ...negate("Vary.parse", [
    ["4.1-star", "name !== \"*\" && ", ""]
  ]),
  ...negate("HttpDate.parse", [
    ["4.2-case", "imfFixdate.exec(text)", "new RegExp(imfFixdate, \"\").exec(text)"],
    ["4.2-gmt", "imfFixdate.exec(text)", "imfFixdate.exec(text.replace(/[A-Z]+$/, \"GMT\"))"]
  ]),
  ...negate("HttpDate.time", [
    ["4.2-resolution", "Math.min(Number(second), 59)", "Number(second)"],
    ["4.2-zone", "midnight.setUTCFullYear(", "midnight.setFullYear("]
  ]),
  ...negate("Invalidation.targets", [
    ["4.4-unsafe", "const found = [target]", "const found: Array<CacheKey.Target> = []"],
    ["4.4-error", " || status >= 400", ""],
    ["4.4-origin", ".filter(({ origin }) => origin === target.origin)", ""]
  ]),
  ...negate("Invalidation.isSafe", [
    [
      "4.4-unknown",
      "safe.has(method.toUpperCase())",
      "![\"POST\", \"PUT\", \"PATCH\", \"DELETE\"].includes(method.toUpperCase())"
    ]
  ]),
  ...negate("Fields.endToEnd", [
    ["3.1-proxy-fields", "hopByHop.has(name)", "(!name.startsWith(\"proxy-\") && hopByHop.has(name))"]
  ]),
  ...negate("CacheKey.make", [
    ["4-uri", "prefixOf(origin)", "\"\""]
  ]),
  ...negate("CacheStorage.select", [
    ["4-most-recent", "item.date > best.date", "item.date < best.date"],
    ["4.1-valid-vary", "varies > 0", "varies < 0"]
  ]),
  ...negate("bypass.bypassOf", [
    ["4-method", "!handled.has(view.method)", "false"],
    ["4-write-through", "!handled.has(view.method)", "false"]
  ]),
  ...negate("handle.handle", [
    ["4-clock", "const time = now(request)", "const time = 0 * now(request)"],
    ["5.2.1.7-only-if-cached", "if (request.asks.onlyIfCached)", "if (false)"]
  ]),
  ...negate("Validation.question", [
    ["4.3.2-partial-tag", "if (stored.range === undefined)", "if (true)"]
  ]),
  ...negate("Validation.resolve", [
    ["4.3.3-full", "status === stored.status)) return \"answer\"", "status === stored.status)) return \"freshened\""]
  ]),
  ...negate("ask.resolved", [
    ["4.3.2-own-200", "? answers.freshened(item, own)", "? own"]
  ]),
  ...negate("answers.freshened", [
    ["4.3.4-update", "Validation.update(item.headers, newer.fields)", "Fields.from(Object.entries(item.headers))"]
  ]),
  ...negate("store.freshenByHead", [
    ["4.3.5-head", "head.status !== 200", "head.status === 200"],
    ["4.3.5-fields", "answers.freshened(item, head)", "answers.freshened(item, { ...head, fields: {} })"]
  ]),
  ...negate("fetch.notStored", [
    ["5.2.2.5-reuse", "Validation.supersedes(method, answer.status)", "false"]
  ]),
  ...negate("respond.send", [
    ["3.3-marked", "part === undefined ? 416 : 206", "part === undefined ? 416 : 200"]
  ]),
  ...negate("Answer.ageOf", [
    ["4-age", "{ age: String(inSeconds(age)) }", "{}"]
  ]),
  ...negate("server/response.toAnswer", [
    ["4.3.2-received", "fields[\"date\"] = HttpDate.format(now)", "void now"]
  ]),
  ...negate("server/body.toPlatform", [
    [
      "5.2.2.6-no-transform",
      "HttpBody.uint8Array(bytes, contentType)",
      "HttpBody.uint8Array(bytes.slice(1), contentType)"
    ]
  ])
]
