/** The first page: what a cache does, as far as this process has seen it. */
import type { Holding } from "../runtime/runtime.js"
import { chart, share } from "./chart.js"
import * as format from "./format.js"
import type { Links } from "./frame.js"
import { Html, html } from "./html.js"
import { type Counts, mostUris, type Observation, ratio, type Row, total } from "./observation.js"
import { sentence, varying } from "./reasons.js"

/** What the page is made of. */
export interface Looked {
  readonly observation: Observation
  /** `undefined`: the storage is not one in memory. */
  readonly holding: Holding | undefined
  readonly links: Links
  /** How the keys of the server's own origin begin. */
  readonly prefix: string | undefined
  /** Epoch milliseconds. */
  readonly now: number
}

const mostShown = 10

/** What is of the server's own origin is named by its path. */
const itemLink = ({ links, prefix }: Looked, key: string): Html => {
  const isOwn = prefix !== undefined && key.startsWith(`${prefix}/`)
  return html`<a class="wrap" href="${links.item}?uri=${encodeURIComponent(key)}"><code>${
    isOwn ? key.slice(prefix.length) : key
  }</code></a>`
}

/** `undefined` where no request has come yet. */
const nothing = (what: string): Html => html`<p class="empty">${what}</p>`

const figures = ({ holding, now, observation: { all, ran, since } }: Looked): Html => {
  const asked = total(all)
  const { hit, miss, shared, stale } = all
  const held = holding === undefined
    ? html`<dd>–<small>the storage does not tell</small></dd>`
    : html`<dd>${format.bytes(holding.bytes)}<small>${format.count(holding.items)} items, of at most ${
      format.bytes(holding.maxBytes)
    }</small></dd>`
  return html`<div><dt>Hit ratio</dt><dd>${percentOf(all)}<small>${format.count(hit + stale)} of ${
    format.count(hit + stale + shared + miss)
  } that may be answered</small></dd></div>
<div><dt>Requests</dt><dd>${format.count(asked)}<small>since ${format.timeOfDay(since)}, ${
    format.duration(now - since)
  } ago</small></dd></div>
<div><dt>Handler ran</dt><dd>${format.count(ran)}<small>beside refreshes; ${
    format.count(shared)
  } shared a run</small></dd></div>
<div><dt>Stored</dt>${held}</div>`
}

const percentOf = (counts: Counts): string => format.percent(ratio(counts))

const requests = ({ now, observation }: Looked): Html => {
  const minutes = observation.minutes(now)
  return html`<h2>Requests over time</h2>
${
    minutes.some(({ counts }) => total(counts) > 0)
      ? chart(minutes)
      : html`<p class="note">The last hour, by minute.</p>${nothing("No request has come by in the last hour.")}`
  }`
}

const routes = ({ observation }: Looked): Html => {
  const known = [...observation.routes].sort(([, one], [, other]) => total(other) - total(one))
  if (known.length === 0) {
    return html`<h2>By route</h2>
<p class="note">What became of the requests of each route.</p>${nothing("Routes appear when they are asked for.")}`
  }
  const rows = known.map(([route, counts]) =>
    html`<tr><th scope="row"><code>${route}</code>${share(ratio(counts) ?? 0)}</th><td class="n">${
      format.count(total(counts))
    }</td>
<td class="n">${percentOf(counts)}</td><td class="n wide">${format.count(counts.hit)}</td>
<td class="n wide">${format.count(counts.stale)}</td><td class="n wide">${format.count(counts.shared)}</td>
<td class="n">${format.count(counts.miss)}</td><td class="n wide">${format.count(counts.passed)}</td></tr>`
  )
  return html`<h2>By route</h2>
<p class="note">What became of the requests of each route. The ratio is of those that a cache may answer.</p>
<table><thead><tr><th scope="col">Route</th><th scope="col" class="n">Requests</th><th scope="col" class="n">Hit ratio</th>
<th scope="col" class="n wide">Hits</th><th scope="col" class="n wide">Stale</th><th scope="col" class="n wide">Shared</th>
<th scope="col" class="n">Misses</th><th scope="col" class="n wide">Passed by</th></tr></thead><tbody>${rows}</tbody></table>`
}

const reason = (name: Html, why: Html, last: Html | undefined, count: number): Html =>
  html`<tr><th scope="row">${name}</th><td><p>${why}</p>${
    last !== undefined && html`<p>Last: ${last}</p>`
  }</td><td class="n">${format.count(count)}</td></tr>`

const variants = (looked: Looked, { counts, key, values, vary }: Row): Html =>
  reason(
    html`many variants`,
    html`${itemLink(looked, key)} varies by ${vary.map((name, at) => html`${at > 0 && ", "}<code>${name}</code>`)}: ${
      format.count(values)
    } values, ${
      format.count(counts.hit + counts.stale)
    } hits. Read less of the request, or name with vary only what the response
depends on.`,
    undefined,
    counts.miss
  )

const misses = (looked: Looked, rows: ReadonlyArray<Row>): Html => {
  const known = [...looked.observation.missed.values()].sort((one, other) => other.count - one.count)
  const head = html`<h2>Why the handler ran</h2>
<p class="note">The reasons of the requests that were not answered with what is stored, and what to do about them.</p>`
  if (known.length === 0) return html`${head}${nothing("The handler has not run yet.")}`
  return html`${head}<table class="reasons"><thead><tr><th scope="col">Reason</th><th scope="col">What to do</th><th scope="col" class="n">Requests</th></tr></thead><tbody>${
    varying(rows).slice(0, 5).map((row) => variants(looked, row))
  }${
    known.slice(0, 2 * mostShown).map((missed) =>
      reason(
        html`<code>${missed.detail === undefined ? missed.reason : `${missed.reason}, ${missed.detail}`}</code>`,
        html`${sentence(missed.reason, missed.detail)}`,
        itemLink(looked, missed.key),
        missed.count
      )
    )
  }</tbody></table>`
}

/** The largest first. */
const largest = (rows: Iterable<readonly [name: string, bytes: number]>) =>
  [...rows].filter(([, bytes]) => bytes > 0).sort(([, one], [, other]) => other - one)

const filling = (rows: ReadonlyArray<Row>): Html => {
  const byRoute = new Map<string, number>()
  for (const { bytes, route } of rows) {
    const name = route === "" ? "(not asked for)" : route
    byRoute.set(name, (byRoute.get(name) ?? 0) + bytes)
  }
  const known = largest(byRoute)
  const all = known.reduce((sum, [, bytes]) => sum + bytes, 0)
  return html`<h2>What fills the bytes</h2>
<p class="note">Content that was stored or served since, by route; what was evicted is not told.</p>
${
    known.length === 0
      ? nothing("Nothing was stored yet.")
      : html`<table><thead><tr><th scope="col">Route</th><th scope="col" class="n">Content</th><th scope="col" class="n">Share</th></tr></thead>
<tbody>${
        known.slice(0, mostShown).map(([route, bytes]) =>
          html`<tr><th scope="row"><code>${route}</code>${share(bytes / all, "shared")}</th><td class="n">${
            format.bytes(bytes)
          }</td><td class="n">${format.percent(bytes / all)}</td></tr>`
        )
      }</tbody></table>`
  }`
}

const hottest = (looked: Looked, rows: ReadonlyArray<Row>): Html => {
  const known = rows.filter(({ counts }) => total(counts) > 0)
    .sort((one, other) => total(other.counts) - total(one.counts)).slice(0, mostShown)
  return html`<h2>Hottest URIs</h2>
<p class="note">Those that were asked for most, of the ${format.count(mostUris)} that were asked for last.</p>
${
    known.length === 0
      ? nothing("No URI was asked for yet.")
      : html`<table><thead><tr><th scope="col">URI</th><th scope="col" class="n">Requests</th><th scope="col" class="n">Hit ratio</th></tr></thead>
<tbody>${
        known.map(({ counts, key }) =>
          html`<tr><th scope="row">${itemLink(looked, key)}</th><td class="n">${
            format.count(total(counts))
          }</td><td class="n">${percentOf(counts)}</td></tr>`
        )
      }</tbody></table>`
  }`
}

const heaviest = (looked: Looked, rows: ReadonlyArray<Row>): Html => {
  const known = rows.filter(({ bytes }) => bytes > 0).sort((one, other) => other.bytes - one.bytes).slice(0, mostShown)
  return html`<h2>Largest URIs</h2>
<p class="note">Those with the most content, of all variants together.</p>
${
    known.length === 0
      ? nothing("Nothing was stored yet.")
      : html`<table><thead><tr><th scope="col">URI</th><th scope="col" class="n">Variants</th><th scope="col" class="n">Content</th></tr></thead>
<tbody>${
        known.map(({ bytes, key, places }) =>
          html`<tr><th scope="row">${itemLink(looked, key)}</th><td class="n">${
            format.count(places.size)
          }</td><td class="n">${format.bytes(bytes)}</td></tr>`
        )
      }</tbody></table>`
  }`
}

/** What changes while somebody looks, by the place where it stands. */
export const parts = (looked: Looked): { readonly [id: string]: Html } => {
  const rows = looked.observation.uris(looked.now)
  return {
    figures: figures(looked),
    requests: requests(looked),
    routes: routes(looked),
    misses: misses(looked, rows),
    hottest: hottest(looked, rows),
    largest: heaviest(looked, rows),
    filling: filling(rows)
  }
}

const soft =
  html`<label class="check"><input type="checkbox" name="soft" value="yes">Keep it, and ask the handler before it is used again</label>`

const collects = ({ collect }: Links): Html =>
  html`<section><h2>Collect</h2>
<p class="note">To forget what is stored; others call that to purge or to invalidate it.</p>
<form method="post" action="${collect}"><label>URI or path<input name="uri" required placeholder="/users/1" autocomplete="off"></label>${soft}
<button>Forget this URI</button></form>
<h3>By group</h3>
<form method="post" action="${collect}"><label>Group<input name="group" required placeholder="product:7" autocomplete="off"></label>${soft}
<button>Forget this group</button></form></section>`

const wide = new Set(["requests", "routes", "misses"])

export const overview = (looked: Looked, canCollect: boolean): Html => {
  const { figures, ...others } = parts(looked)
  return html`<section class="full figures" aria-label="Figures"><dl id="figures">${figures}</dl></section>
${
    Object.entries(others).map(([id, part]) =>
      html`<section id="${id}"${wide.has(id) && new Html(" class=\"full\"")}>${part}</section>`
    )
  }
${canCollect && collects(looked.links)}`
}
