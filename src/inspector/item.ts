/** The page of one URI: what is stored for it, and how long it may be used yet. */
import type { CacheItem } from "../CacheItem.js"
import * as CacheGroups from "../protocol/CacheGroups.js"
import * as Reuse from "../protocol/Reuse.js"
import * as Vary from "../protocol/Vary.js"
import { labels } from "./chart.js"
import * as format from "./format.js"
import type { Links } from "./frame.js"
import { type Html, html } from "./html.js"
import type { Looked } from "./lookups.js"
import { kinds, type Row } from "./observation.js"
import { sentence } from "./reasons.js"

/** Whatever a program says, the values of these are not shown. */
const secret = new Set(["authorization", "cookie", "proxy-authorization", "set-cookie"])

/** Whether the value of a field may be shown. */
export type IsShown = (name: string) => boolean

export const shownBut = (redacted: ReadonlyArray<string | RegExp>): IsShown => (name) =>
  !secret.has(name) &&
  !redacted.some((one) =>
    typeof one === "string" ? one.toLowerCase() === name : new RegExp(one.source, one.flags).test(name)
  )

const valueOf = (name: string, value: string | undefined, isShown: IsShown): Html =>
  !isShown(name)
    ? html`<span class="hidden-value">not shown</span>`
    : value === undefined
    ? html`<span class="hidden-value">not sent</span>`
    : html`<code>${value}</code>`

const use = (item: CacheItem, { fresh, insteadOfErrors, whileValidated }: Reuse.Remaining): string => {
  if (fresh > 0) return `Fresh for ${format.duration(fresh)} more`
  const uses = [
    whileValidated > 0 && `is served while it is refreshed for ${format.duration(whileValidated)} more`,
    insteadOfErrors > 0 && `stands in for an error for ${format.duration(insteadOfErrors)} more`
  ].filter((use) => use !== false)
  const now = item.alwaysValidate ? "Validated before each use" : "Stale, and validated before it is used"
  return uses.length === 0 ? now : `Stale: ${uses.join(", ")}`
}

const groupsOf = ({ groups }: CacheItem, { collect }: Links, canCollect: boolean): Html | undefined =>
  groups.length === 0 ? undefined : html`<h3>Groups</h3><ul class="tags">${
    groups.map((name) => {
      const { group, origin } = CacheGroups.partsOf(name)
      return canCollect
        ? html`<li><form method="post" action="${collect}"><input type="hidden" name="group" value="${group}"><input type="hidden" name="origin" value="${origin}"><button>Forget ${group}</button></form></li>`
        : html`<li><code>${group}</code></li>`
    })
  }</ul>`

/** One item, as far as it is everybody's. */
export const shown = (item: CacheItem, links: Links, canCollect: boolean, isShown: IsShown, now: number): Html => {
  const left = Reuse.remaining(item, now)
  const selected = Vary.fieldsOf(item.variant)
  const { cookies, headers, range, status } = item
  return html`<section class="full"><h2>${status} · ${format.bytes(item.body.byteLength)} · ${use(item, left)}</h2>
<dl class="facts"><dt>Stored</dt><dd>${format.moment(item.responseTime)}, ${format.duration(left.old)} old</dd>
<dt>Dropped</dt><dd>${left.kept === 0 ? "at any time" : `after ${format.duration(left.kept)} more`}</dd>${
    item.cache !== "" && html`<dt>Kept by</dt><dd class="wrap">${item.cache}</dd>`
  }${range !== undefined && html`<dt>Part</dt><dd>bytes ${range.first} to ${range.last} of ${range.size}</dd>`}${
    cookies.length > 0 &&
    html`<dt>Cookies</dt><dd>${cookies.length} set, <span class="hidden-value">not shown</span></dd>`
  }</dl>
${
    selected.length > 0 &&
    html`<h3>Variant</h3><table class="pairs"><thead><tr><th scope="col">Request field</th><th scope="col">Value</th></tr></thead><tbody>${
      selected.map(([name, value]) =>
        html`<tr><th scope="row"><code>${name}</code></th><td>${valueOf(name, value, isShown)}</td></tr>`
      )
    }</tbody></table>`
  }
${groupsOf(item, links, canCollect)}
<h3>Response fields</h3><table class="pairs"><thead><tr><th scope="col">Field</th><th scope="col">Value</th></tr></thead><tbody>${
    Object.entries(headers).map(([name, value]) =>
      html`<tr><th scope="row"><code>${name}</code></th><td>${valueOf(name, value, isShown)}</td></tr>`
    )
  }</tbody></table></section>`
}

const counted = (row: Row): Html =>
  html`<section class="full"><h2>Requests</h2><dl class="facts"><dt>Route</dt><dd><code>${row.route}</code></dd>${
    kinds.map((kind) => html`<dt>${labels[kind]}</dt><dd>${format.count(row.counts[kind])}</dd>`)
  }${
    row.vary.length > 0 &&
    html`<dt>Varies by</dt><dd><code>${row.vary.join(", ")}</code>, ${format.count(row.values)} values</dd>`
  }</dl></section>`

const search = ({ item }: Links, uri: string): Html =>
  html`<section class="full"><h2>Look up a URI</h2>
<p class="note">A path of this server, or a URI with scheme and host.</p>
<form class="line" method="get" action="${item}"><label>URI<input name="uri" value="${uri}" required placeholder="/users/1" autocomplete="off"></label>
<button class="main">Look up</button></form></section>`

export interface Page {
  readonly links: Links
  readonly uri: string
  /** The keys that the URI can mean, with what was counted of each. */
  readonly rows: ReadonlyArray<Row>
  readonly looked: Looked
  readonly canCollect: boolean
  readonly isShown: IsShown
  /** Epoch milliseconds. */
  readonly now: number
}

const collect = ({ collect }: Links, uri: string): Html =>
  html`<section class="full"><h2>Collect</h2><form class="line" method="post" action="${collect}"><input type="hidden" name="uri" value="${uri}">
<label class="check"><input type="checkbox" name="soft" value="yes">Keep it, and ask the handler before it is used again</label>
<button>Forget this URI</button></form></section>`

export const emptySearch = (links: Links): Html => search(links, "")

export const page = ({ canCollect, isShown, links, looked, now, rows, uri }: Page): Html => {
  const { hidden, isUnread, items } = looked
  return html`${search(links, uri)}
${
    items.length === 0 && html`<section class="full"><p class="empty">${
      isUnread
        ? sentence("miss", undefined)
        : hidden > 0
        ? "Nothing is stored for everybody."
        : "Nothing is stored for this URI, as far as this process has seen it."
    }</p></section>`
  }
${items.map((item) => shown(item, links, canCollect, isShown, now))}
${
    hidden > 0 &&
    html`<section class="full"><h2>Kept for single users</h2><p class="note">${format.count(hidden)} ${
      hidden === 1 ? "response is" : "responses are"
    } kept for one user each, and not shown.</p></section>`
  }
${rows.map(counted)}
${canCollect && (items.length > 0 || hidden > 0) && collect(links, uri)}`
}
