#!/usr/bin/env node
/** `npx effect-http-cache explain URL --inspector ADDRESS`: asks the inspector of a running server what would happen to a request. */
import { parseArgs } from "node:util"

const usage = `Usage: npx effect-http-cache explain URL --inspector ADDRESS [options]

Says what the cache of a running server would do with a request, and why.

  URL                          a path such as /users/1, or an absolute URL
  --inspector ADDRESS          where its HttpCacheInspector is, such as http://127.0.0.1:3000/inspector
  --header "NAME: VALUE"       a field of the request; may be given again
  --method GET|HEAD            default GET
  --inspector-header "N: V"    a field for the inspector itself, such as its authorization; may be given again
  --json                       print the whole answer
`

/** What a person can mend. */
class Problem extends Error {}

const options = {
  "inspector": { type: "string" },
  "header": { type: "string", multiple: true },
  "method": { type: "string" },
  "inspector-header": { type: "string", multiple: true },
  "json": { type: "boolean" },
  "help": { type: "boolean" }
} as const

const parsed = () => {
  try {
    return parseArgs({ options, allowPositionals: true })
  } catch (error) {
    throw new Problem(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
  }
}

const fieldOf = (line: string): [string, string] => {
  const [, name, value] = /^([^:\s]+):(.*)$/.exec(line) ?? []
  if (name === undefined) throw new Problem(`${JSON.stringify(line)} is no field; write it as in "Accept-Language: fr"`)
  return [name, value!.trim()]
}

const addressOf = (inspector: string | undefined, params: URLSearchParams): URL => {
  if (inspector === undefined) throw new Problem(`--inspector is missing: where the HttpCacheInspector is\n\n${usage}`)
  if (!/^https?:\/\//.test(inspector) || !URL.canParse(inspector)) {
    throw new Problem(`--inspector is ${JSON.stringify(inspector)}; it must be such as http://127.0.0.1:3000/inspector`)
  }
  const address = new URL(inspector)
  address.pathname = `${address.pathname.replace(/\/$/, "")}/explain`
  address.search = params.toString()
  return address
}

const asked = async (address: URL, headers: ReadonlyArray<[string, string]>): Promise<unknown> => {
  const where = `${address.origin}${address.pathname}`
  const response = await fetch(address, {
    headers: [["accept", "application/json"], ...headers],
    redirect: "manual",
    signal: AbortSignal.timeout(30_000)
  }).catch((error: Error) => {
    const { cause } = error
    throw new Problem(`${where} does not answer: ${cause instanceof Error ? cause.message : error.message}`)
  })
  const text = await response.text()
  if (!(response.headers.get("content-type") ?? "").startsWith("application/json")) {
    throw new Problem(
      `${where} answered ${response.status}, and is no HttpCacheInspector or does not let you in: ${
        text.slice(0, 200).trim()
      }`
    )
  }
  return JSON.parse(text)
}

interface Answer {
  readonly error?: string
  readonly cacheStatus?: string
  readonly sentences?: ReadonlyArray<string>
}

const main = async (): Promise<string> => {
  const { positionals: [command, url, ...others], values } = parsed()
  if (values.help === true) return usage
  if (command !== "explain" || url === undefined || others.length > 0) throw new Problem(usage)
  const params = new URLSearchParams({ url, method: (values.method ?? "GET").toUpperCase() })
  for (const line of values.header ?? []) params.append("header", fieldOf(line).join(": "))
  // It is the inspector's JSON, or that of somebody else, which has none of these.
  const answer = await asked(
    addressOf(values.inspector, params),
    (values["inspector-header"] ?? []).map(fieldOf)
  ) as Answer
  if (answer.error !== undefined) throw new Problem(answer.error)
  if (answer.sentences === undefined) throw new Problem("What answered is no HttpCacheInspector")
  if (values.json === true) return `${JSON.stringify(answer, undefined, 2)}\n`
  return [...answer.sentences, ...(answer.cacheStatus === undefined ? [] : [`Cache-Status: ${answer.cacheStatus}`])]
    .map((line) => `${line}\n`).join("")
}

try {
  process.stdout.write(await main())
} catch (error) {
  if (!(error instanceof Problem)) throw error
  process.stderr.write(`${error.message.trimEnd()}\n`)
  process.exitCode = 1
}
