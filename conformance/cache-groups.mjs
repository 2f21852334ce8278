/** Cases for HTTP Cache Groups (RFC 9875), in the format of http-cache-tests. A group is of one case: cases run at the same time. */

const tests = []

/** A response that is fresh, and of these groups. */
const grouped = (groups, request = {}) => ({
  filename: "member",
  response_headers: [["Cache-Control", "max-age=100000"], ...[groups].flat().map((line) => ["Cache-Groups", line])],
  ...request
})

/** A request to another URI, whose response invalidates these groups. */
const invalidating = (groups, request = {}) => ({
  filename: "change",
  request_method: "POST",
  request_body: "abc",
  response_headers: [groups].flat().map((line) => ["Cache-Group-Invalidation", line]),
  setup: true,
  ...request
})

/** What is stored, what happens, and whether it is still used. */
const add = (id, name, stored, change, isCached, more = {}) =>
  tests.push({
    id: `groups-${id}`,
    name,
    ...more,
    requests: [
      grouped(stored, { setup: true }),
      ...[change].flat(),
      grouped(stored, { expected_type: isCached ? "cached" : "not_cached" })
    ]
  })

const optimal = { kind: "optimal", depends_on: ["freshness-max-age"] }
const afterPost = { depends_on: ["groups-POST"] }

for (const method of ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH"]) {
  add(
    method,
    `An optimal HTTP cache invalidates a stored response when \`Cache-Group-Invalidation\` on a successful response to a \`${method}\` request lists its group`,
    `"${method}"`,
    invalidating(`"${method}"`, { request_method: method }),
    false,
    optimal
  )
}

for (const method of ["GET", "HEAD", "OPTIONS"]) {
  add(
    `safe-${method}`,
    `HTTP cache must ignore \`Cache-Group-Invalidation\` on a response to a \`${method}\` request`,
    `"safe-${method}"`,
    invalidating(`"safe-${method}"`, { request_method: method, request_body: undefined }),
    true,
    afterPost
  )
}

add(
  "failed",
  "Does HTTP cache ignore `Cache-Group-Invalidation` on a failed response?",
  "\"failed\"",
  invalidating("\"failed\"", { response_status: [500, "Internal Server Error"] }),
  true,
  { kind: "check", ...afterPost }
)

const matching = [
  ["one-of-several", "one of several groups of a stored response", "\"m1-a\", \"m1-b\", \"m1-c\"", "\"m1-b\""],
  ["list", "the group of a stored response among others", "\"m2-b\"", "\"m2-a\", \"m2-b\""],
  ["lines", "a group on another line of the field", ["\"m3-a\"", "\"m3-b\""], ["\"m3-c\"", "\"m3-b\""]],
  ["order", "groups in another order", "\"m4-a\", \"m4-b\"", "\"m4-b\", \"m4-a\""],
  ["parameters-stored", "the group of a stored response, which has parameters there", "\"m5\";a=1;b", "\"m5\""],
  ["parameters", "the group of a stored response, with parameters", "\"m6\"", "\"m6\";a=1;b"],
  ["escaped", "a group with quotes and commas in it", "\"m7, \\\"x\\\"\"", "\"m7, \\\"x\\\"\""],
  [
    "32-stored",
    "the last one of 32 groups with 32 characters each",
    Array.from({ length: 32 }, (_, at) => `"m8-${String(at).padStart(29, "0")}"`).join(", "),
    `"m8-${"31".padStart(29, "0")}"`
  ],
  [
    "32",
    "the group of a stored response, as the last one of 32 with 32 characters each",
    `"m9-${"31".padStart(29, "0")}"`,
    Array.from({ length: 32 }, (_, at) => `"m9-${String(at).padStart(29, "0")}"`).join(", ")
  ]
]
for (const [id, what, stored, invalidated] of matching) {
  add(
    id,
    `HTTP cache that supports groups must invalidate a stored response when \`Cache-Group-Invalidation\` lists ${what}`,
    stored,
    invalidating(invalidated),
    false,
    afterPost
  )
}

const apart = [
  ["other", "another group", "\"a1-a\"", "\"a1-b\""],
  ["case", "its group in another case", "\"a2-a\"", "\"A2-A\""],
  ["prefix", "the beginning of its group", "\"a3-ab\"", "\"a3-a\""],
  ["space", "its group with a space at the end", "\"a4\"", "\"a4 \""],
  ["none", "groups, where the response is of none", [], "\"a5\""]
]
for (const [id, what, stored, invalidated] of apart) {
  add(
    id,
    `HTTP cache must not invalidate a stored response when \`Cache-Group-Invalidation\` lists ${what}`,
    stored,
    invalidating(invalidated),
    true,
    afterPost
  )
}

tests.push({
  id: "groups-cascade",
  name: "HTTP cache must not invalidate the other groups of a response that is invalidated by its group",
  ...afterPost,
  requests: [
    grouped("\"cascade-a\", \"cascade-b\"", { filename: "both", setup: true }),
    grouped("\"cascade-b\"", { setup: true }),
    invalidating("\"cascade-a\""),
    grouped("\"cascade-a\", \"cascade-b\"", { filename: "both", expected_type: "not_cached" }),
    grouped("\"cascade-b\"", { expected_type: "cached" })
  ]
})

tests.push({
  id: "groups-many-responses",
  name: "HTTP cache that supports groups must invalidate each stored response of a group",
  ...afterPost,
  requests: [
    ...["1", "2", "3"].map((filename) => grouped("\"many\"", { filename, setup: true })),
    invalidating("\"many\""),
    ...["1", "2", "3"].map((filename) => grouped("\"many\"", { filename, expected_type: "not_cached" }))
  ]
})

for (const [id, what, field] of [["token", "a token", "unquoted"], ["inner-list", "an inner list", "(\"inner\")"]]) {
  tests.push({
    id: `groups-unread-${id}`,
    name: `Does HTTP cache store a response whose \`Cache-Groups\` has ${what} where a String must be?`,
    kind: "check",
    ...afterPost,
    requests: [grouped(field, { setup: true }), grouped(field, { expected_type: "cached" })]
  })
}

add(
  "unread",
  "HTTP cache must ignore a `Cache-Group-Invalidation` that has a member which is no String",
  "\"unread\"",
  invalidating("\"unread\", 1"),
  true,
  afterPost
)

export default {
  name: "Cache Groups",
  id: "cache-groups",
  description: "These tests check how caches support HTTP Cache Groups.",
  spec_anchors: ["cache.groups"],
  tests
}
