/** The requests of the last hour, drawn on the server. */
import * as format from "./format.js"
import { Html, html } from "./html.js"
import { type Counts, type Kind, kinds, type Minute, ratio, total } from "./observation.js"

/** What a kind is called. */
export const labels: { readonly [A in Kind]: string } = {
  hit: "Hit",
  stale: "Stale hit",
  shared: "Shared a run",
  miss: "Miss",
  passed: "Passed by"
}

const height = 100

/** A number at least as large that reads well, to which a chart goes up. */
const top = (most: number): number => {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, most)))
  return [1, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= most) ?? most
}

const sentenceOf = (counts: Counts): string =>
  kinds.filter((kind) => counts[kind] > 0).map((kind) => `${labels[kind]} ${format.count(counts[kind])}`).join(", ")

const bar = ({ at, counts }: Minute, index: number, most: number): Html => {
  const all = total(counts)
  if (all === 0) return html``
  let y = height
  const parts = kinds.filter((kind) => counts[kind] > 0).map((kind) => {
    const tall = counts[kind] / most * height
    y -= tall
    return html`<rect class="${kind}" x="${index + 0.1}" y="${y.toFixed(3)}" width="0.8" height="${tall.toFixed(3)}"/>`
  })
  return html`<g><title>${format.timeOfDay(at * 60_000)}: ${sentenceOf(counts)}</title>${parts}</g>`
}

/** The minutes in which a cache could have answered, as one line with gaps. */
const line = (minutes: ReadonlyArray<Minute>): Html => {
  let isDown = false
  const path = minutes.map(({ counts }, index) => {
    const part = ratio(counts)
    const draw = part === undefined ? "" : `${isDown ? "L" : "M"}${index + 0.5} ${((1 - part) * height).toFixed(2)}`
    // A point by itself is drawn too.
    const end = part !== undefined && !isDown ? "h0.01" : ""
    isDown = part !== undefined
    return draw + end
  }).join("")
  return html`<path class="ratio" d="${path}"/>`
}

export const legend: Html = html`<ul class="legend">${
  kinds.map((kind) =>
    html`<li><svg class="swatch" viewBox="0 0 1 1" aria-hidden="true"><rect class="${kind}" width="1" height="1"/></svg>${
      labels[kind]
    }</li>`
  )
}</ul>`

const frame = (label: string, most: string, width: number, drawn: Html | ReadonlyArray<Html>, from: string): Html =>
  html`<figure class="chart"><figcaption><span>${label}</span><span class="most">${most}</span></figcaption>
<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${label}, by minute of the last hour">
<g class="grid"><path d="M0 0H${width}M0 50H${width}M0 100H${width}"/></g>${drawn}</svg>
<div class="axis" aria-hidden="true"><span>${from}</span><span>now</span></div></figure>`

const table = (minutes: ReadonlyArray<Minute>): Html =>
  html`<details><summary>The same as a table</summary><div class="scroll" role="region" aria-label="Requests by minute" tabindex="0">
<table><thead><tr><th scope="col">Minute</th>${
    kinds.map((kind) => html`<th scope="col" class="n">${labels[kind]}</th>`)
  }</tr></thead>
<tbody>${
    minutes.filter(({ counts }) => total(counts) > 0).map(({ at, counts }) =>
      html`<tr><th scope="row">${format.timeOfDay(at * 60_000)}</th>${
        kinds.map((kind) => html`<td class="n">${format.count(counts[kind])}</td>`)
      }</tr>`
    )
  }</tbody></table></div></details>`

export const chart = (minutes: ReadonlyArray<Minute>): Html => {
  const most = top(Math.max(...minutes.map(({ counts }) => total(counts))))
  const from = format.timeOfDay(minutes[0]!.at * 60_000)
  return html`${legend}
${
    frame(
      "Requests a minute",
      format.count(most),
      minutes.length,
      minutes.map((minute, index) => bar(minute, index, most)),
      from
    )
  }
${frame("Hit ratio", "100%", minutes.length, line(minutes), from)}
${table(minutes)}`
}

/** How large a part is, as a bar; the number stands beside it. */
export const share = (part: number, kind: Kind = "hit"): Html =>
  new Html(
    `<svg class="share" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="1"/>` +
      `<rect class="${kind}" width="${(Math.min(1, Math.max(0, part)) * 100).toFixed(2)}" height="1"/></svg>`
  )
