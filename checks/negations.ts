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
      "storedFields(exchange, directives, extent)",
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
  ...negate("Storability.withheld", [
    ["5.2.2.4-qualified", "...(typeof directives.noCache === \"object\" ? directives.noCache : []),", ""],
    [
      "5.2.2.7-qualified",
      "...(typeof directives.private === \"object\" && partition === \"\" ? directives.private : [])",
      ""
    ]
  ]),
  ...negate("Reuse.decide", [
    ["3.3-incomplete", "if (!request.isHeld)", "if (false)"],
    ["4-no-cache", "stored.alwaysValidate || ", ""],
    ["4-fresh", "ttl <= 0", "ttl < 0"],
    ["4.2.4-permitted", " && -ttl <= request.maxStale * 1000", ""],
    ["4.3.2-semantics", "if (request.forOrigin || request.noCache)", "if (request.noCache)"],
    ["5.2.2.2-must-revalidate", "!(isAccepted || isInWindow) || stored.staleForbidden", "!(isAccepted || isInWindow)"]
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
  ...negate("CacheControl.bindingOf", [
    ["3.5-conforms", "d.valid && d.value", "d.value"],
    [
      "5.2.2.2-never-ignored",
      "mustRevalidate: has(directives, \"must-revalidate\")",
      "mustRevalidate: says(\"must-revalidate\")"
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
    ["5.2-pass", "if (told.length === 0) return own", "if (told.length === 0) return undefined"]
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
    ["3.2-update", ", ...Object.entries(Fields.without(Fields.endToEnd(newer), kept))", ""]
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
    ["3.1-proxy-fields", "[...hopByHop, ", "[...hopByHop.filter((name) => !name.startsWith(\"proxy-\")), "]
  ]),
  ...negate("CacheKey.make", [
    ["4-uri", "`${escape(scheme)}://${escape(hostOf(origin))}` +", "\"\" +"]
  ]),
  ...negate("CacheStorage.select", [
    ["4-most-recent", "item.date > best.date", "item.date < best.date"],
    ["4.1-valid-vary", "varies > 0", "varies < 0"]
  ]),
  ...negate("passing.passesBy", [
    ["4-method", "!answered.has(view.method)", "false"],
    ["4-write-through", "!answered.has(view.method)", "false"]
  ]),
  ...negate("HttpCache.attend", [
    ["4-clock", "const now = yield* Clock.currentTimeMillis", "const now = 0 * (yield* Clock.currentTimeMillis)"],
    ["5.2.1.7-only-if-cached", "if (asks.onlyIfCached)", "if (false)"]
  ]),
  ...negate("asking.question", [
    ["4.3.2-partial-tag", "if (item.range === undefined) return Validation", "if (true) return Validation"]
  ]),
  ...negate("asking.resolved", [
    ["4.3.2-own-200", "isAbout ? serverResponse.freshened(item, own)", "isAbout ? own"],
    [
      "4.3.3-full",
      "answer.status === item.status)) return answer",
      "answer.status === item.status)) return serverResponse.fromItem(item, 0)"
    ]
  ]),
  ...negate("keeping.freshenByHead", [
    ["4.3.5-head", "head.status !== 200", "head.status === 200"],
    ["4.3.5-fields", "serverResponse.freshened(item, head)", "serverResponse.fromItem(item, 0)"]
  ]),
  ...negate("filling.keep", [
    ["5.2.2.5-reuse", "Validation.supersedes(method, answer.status)", "false"]
  ]),
  ...negate("serverResponse.headOfPart", [
    ["3.3-marked", "status: 206, headers: { ...fields, ...range }", "status: 200, headers: { ...fields, ...range }"]
  ]),
  ...negate("serverResponse.fromItem", [
    ["4-age", "fields[\"age\"] = String(inSeconds(age))", "void age"]
  ]),
  ...negate("serverResponse.fromHandler", [
    ["4.3.2-received", "fields[\"date\"] = HttpDate.format(now)", "void now"]
  ]),
  ...negate("serverResponse.freshened", [
    ["4.3.4-update", "Validation.update(item.headers, newer.fields)", "Fields.from(Object.entries(item.headers))"]
  ]),
  ...negate("body.of", [
    ["5.2.2.6-no-transform", "HttpBody.uint8Array(content, contentType)", "HttpBody.uint8Array(content.slice(1))"]
  ])
]
