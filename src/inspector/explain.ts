/** What would happen to a request, as a page with a form and as JSON. */
import type { Explanation } from "../engine/explain.js"
import * as Fields from "../protocol/Fields.js"
import type { Links } from "./frame.js"
import { Html, html } from "./html.js"

/** The request that a form, or a program, asks about. */
export interface Given {
  readonly method: string
  readonly url: string
  /** Lines of fields. */
  readonly lines: ReadonlyArray<string>
}

const methods = ["GET", "HEAD"]

export const givenBy = (params: URLSearchParams): Given => ({
  method: params.get("method") ?? "GET",
  url: (params.get("url") ?? "").trim(),
  lines: [...params.getAll("header"), ...(params.get("headers") ?? "").split("\n")]
    .map((line) => line.trim()).filter((line) => line !== "")
})

/** The request, or why it is none. `origin`: that of a path. */
export const requestOf = ({ lines, method, url }: Given, origin: string | undefined): Request | string => {
  if (!methods.includes(method)) return `The method is ${method}; it must be GET or HEAD.`
  if (url === "" || !URL.canParse(url, origin)) {
    return `${
      JSON.stringify(url)
    } is no URL; give a path such as /users/1, or a URL such as https://api.example.com/users/1.`
  }
  const headers: Array<[string, string]> = []
  for (const line of lines) {
    const colon = line.indexOf(":")
    const name = line.slice(0, Math.max(0, colon))
    if (!Fields.isToken(name)) return `${JSON.stringify(line)} is no field; write it as in Accept-Language: fr.`
    headers.push([name, line.slice(colon + 1).trim()])
  }
  try {
    return new Request(new URL(url, origin), { method, headers })
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** What a program is told. What is stored is not part of it. */
export const jsonOf = ({ cacheStatus, key, outcome, sentences, status, uri }: Explanation) => ({
  uri,
  key,
  cacheStatus,
  status,
  outcome,
  sentences
})

const form = ({ explain }: Links, { lines, method, url }: Given): Html =>
  html`<section class="full"><h2>What would happen to a request?</h2>
<p class="note">The first cache that sees it decides as for any other request, and runs, stores and counts nothing. What stands before
that cache does run, and so does a route that has none.</p>
<form method="get" action="${explain}"><div class="request"><label>Method<select name="method">${
    methods.map((one) => html`<option${one === method && new Html(" selected")}>${one}</option>`)
  }</select></label><label>URL<input name="url" value="${url}" required placeholder="/users/1" autocomplete="off"></label></div>
<label>Request fields, one a line<textarea name="headers" rows="4" placeholder="Accept-Language: fr" spellcheck="false">${
    lines.join("\n")
  }</textarea></label><button class="main">Explain</button></form></section>`

const said = ({ cacheStatus, key, sentences, status, uri }: Explanation): Html =>
  html`<section class="full"><h2>What it would do</h2>
<ol class="sentences">${sentences.map((sentence) => html`<li>${sentence}</li>`)}</ol>
<dl class="facts">${cacheStatus !== undefined && html`<dt>Cache-Status</dt><dd><code>${cacheStatus}</code></dd>`}${
    status !== undefined && html`<dt>Status</dt><dd>${status}</dd>`
  }<dt>URI</dt><dd><code>${uri}</code></dd>${
    key !== undefined && html`<dt>Key</dt><dd><code>${key}</code></dd>`
  }</dl></section>`

/** `answer`: what came of it, or why the request is none; `undefined` where nothing was asked yet. */
export const page = (
  links: Links,
  given: Given,
  answer: Explanation | string | undefined,
  item?: Html
): Html =>
  html`${form(links, given)}
${
    answer !== undefined && (typeof answer === "string"
      ? html`<section class="full"><p class="empty" role="alert">${answer}</p></section>`
      : said(answer))
  }
${item}`
