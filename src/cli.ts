#!/usr/bin/env node
/** `npx effect-http-cache explain URL --inspector ADDRESS`: asks the inspector of a running server what would happen to a request. */
import { unescape } from "node:querystring"
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

/** `shown`: what an error says in its place. */
const fieldOf = (line: string, shown = JSON.stringify(line)): [string, string] => {
  const [, name, value] = /^([^:\s]+):([^\0\r\n]*)$/.exec(line) ?? []
  if (name === undefined) throw new Problem(`${shown} is no field; write it as in "Accept-Language: fr"`)
  return [name, value!.trim()]
}

/** There may be a password in it, which no log is to have. */
const secretFieldOf = (line: string) => fieldOf(line, "--inspector-header")

const addressOf = (inspector: string | undefined, params: URLSearchParams): URL => {
  if (inspector === undefined) throw new Problem(`--inspector is missing: where the HttpCacheInspector is\n\n${usage}`)
  // What is wrong is not repeated, since there may be a password in it.
  if (!/^https?:\/\//.test(inspector) || !URL.canParse(inspector)) {
    throw new Problem("--inspector is no address; it must be such as http://127.0.0.1:3000/inspector")
  }
  const address = new URL(inspector)
  address.pathname = `${address.pathname.replace(/\/$/, "")}/explain`
  address.search = params.toString()
  return address
}

/** The user and the password of the address, as a field: `fetch` takes no URL that has them. */
const credentialsOf = ({ password, username }: URL): Array<[string, string]> => {
  const user = unescape(`${username}:${password}`)
  return user === ":" ? [] : [["authorization", `Basic ${Buffer.from(user).toString("base64")}`]]
}

interface Answer {
  readonly error?: string
  readonly cacheStatus?: string
  readonly sentences?: ReadonlyArray<string>
}

/** The inspector's JSON; `undefined`: it is somebody else's, or none. */
const answerOf = (text: string): Answer | undefined => {
  try {
    const answer = JSON.parse(text) as Answer | null
    return typeof answer?.error === "string" || Array.isArray(answer?.sentences) ? answer : undefined
  } catch {
    return undefined
  }
}

const asked = async (address: URL, headers: ReadonlyArray<[string, string]>): Promise<Answer> => {
  const where = `${address.origin}${address.pathname}`
  const isAuthorized = headers.some(([name]) => name.toLowerCase() === "authorization")
  const credentials = isAuthorized ? [] : credentialsOf(address)
  const [status, text] = await fetch(`${where}${address.search}`, {
    headers: [["accept", "application/json"], ...credentials, ...headers],
    redirect: "manual",
    signal: AbortSignal.timeout(30_000)
  }).then(async (response) => [response.status, await response.text()] as const).catch((error: Error) => {
    const { cause } = error
    throw new Problem(`${where} does not answer: ${cause instanceof Error ? cause.message : error.message}`)
  })
  const answer = answerOf(text)
  if (answer !== undefined) return answer
  throw new Problem(
    `${where} answered ${status}, and is no HttpCacheInspector or does not let you in: ${text.slice(0, 200).trim()}`
  )
}

const main = async (): Promise<string> => {
  const { positionals: [command, url, ...others], values } = parsed()
  if (values.help === true) return usage
  if (command !== "explain" || url === undefined || others.length > 0) throw new Problem(usage)
  const params = new URLSearchParams({ url, method: (values.method ?? "GET").toUpperCase() })
  for (const line of values.header ?? []) params.append("header", fieldOf(line).join(": "))
  const answer = await asked(addressOf(values.inspector, params), (values["inspector-header"] ?? []).map(secretFieldOf))
  const { cacheStatus, error, sentences = [] } = answer
  if (error !== undefined) throw new Problem(error)
  if (values.json === true) return `${JSON.stringify(answer, undefined, 2)}\n`
  return [...sentences, ...(cacheStatus === undefined ? [] : [`Cache-Status: ${cacheStatus}`])]
    .map((line) => `${line}\n`).join("")
}

try {
  process.stdout.write(await main())
} catch (error) {
  if (!(error instanceof Problem)) throw error
  process.stderr.write(`${error.message.trimEnd()}\n`)
  process.exitCode = 1
}
