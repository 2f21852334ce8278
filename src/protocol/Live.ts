/** Streams of events, which are for whoever listens now. */
import * as Fields from "./Fields.js"

const live = new Set(["text/event-stream", "multipart/x-mixed-replace"])

/** Also the types of files that are sent line by line: those say themselves that they are to be kept. */
const liveUnlessStated = new Set([
  ...live,
  "application/json-seq",
  "application/jsonl",
  "application/ndjson",
  "application/stream+json",
  "application/x-jsonlines",
  "application/x-ndjson"
])

/** Events are for whoever listens now; the stream of them has no end. `applies`: only the route says how long it is fresh. */
export const isLive = (response: Fields.Fields, applies: boolean): boolean => {
  const [type = ""] = (Fields.get(response, "content-type") ?? "").toLowerCase().split(/[;,\s]/, 1)
  return (applies ? liveUnlessStated : live).has(type)
}
