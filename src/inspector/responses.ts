/** What the inspector answers with: nothing of it is kept by anybody, framed by others, or loads anything from elsewhere. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { createHash } from "node:crypto"
import type { Html } from "./html.js"
import { script } from "./script.js"
import { style } from "./style.js"

type Response = HttpServerResponse.HttpServerResponse

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

let policy: string | undefined

/** The page's own script and style, by their hashes, and nothing else (CSP 3). */
const policyOf = (): string =>
  policy ??= [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    "connect-src 'self'",
    // The empty icon, in the place of one that a browser would ask the app for.
    "img-src data:",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'"
  ].join("; ")

const fields = () => ({
  "cache-control": "no-store",
  "content-security-policy": policyOf(),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  // Without an origin a form could not be told from one of another site.
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "x-robots-tag": "noindex"
})

export const page = ({ text }: Html, status = 200): Response =>
  HttpServerResponse.text(text, { status, contentType: "text/html; charset=utf-8", headers: fields() })

export const text = (status: number, text: string, more: { readonly [name: string]: string } = {}): Response =>
  HttpServerResponse.text(`${text}\n`, { status, headers: { ...fields(), ...more } })

export const json = (value: unknown, status = 200): Response =>
  HttpServerResponse.text(`${JSON.stringify(value)}\n`, { status, contentType: "application/json", headers: fields() })

/** After a `POST`: where to look at what came of it (RFC 9110 §15.4.4). */
export const seeOther = (location: string): Response =>
  HttpServerResponse.empty({ status: 303, headers: { ...fields(), location } })

export const events = (text: string): Response =>
  HttpServerResponse.text(text, { contentType: "text/event-stream", headers: fields() })
