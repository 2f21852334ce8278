/** What was measured of all, as a chart: a bar for each median, and a whisker from the least to the most. */
import type { Kind } from "./contestants.js"
import { everybody, type Found, ratioOf, titles } from "./peersTable.js"

const shown: ReadonlyArray<Kind> = ["small", "large", "304"]
const row = { height: 22, bar: 13 }
const label = 210
const panel = { width: 200, gap: 34 }
const top = 64

const style = `
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.value, .note { font-size: 11px; fill: #59636e }
.bar { fill: #9aa5b1 }
.ours { fill: #0969da }
.whisker { stroke: #1f2328; stroke-width: 1 }
.one { stroke: #59636e; stroke-dasharray: 2 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .value, .note { fill: #9198a1 }
  .bar { fill: #59636e }
  .ours { fill: #4493f8 }
  .whisker { stroke: #e6edf3 }
  .one { stroke: #9198a1 }
}`

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")

/** An SVG, on no ground of its own. */
export const chart = (found: Found): string => {
  const all = everybody(found)
  const [{ connections } = { connections: 0 }] = found.keys()
  const panels = shown.flatMap((kind) =>
    [...found].filter(([column]) => column.kind === kind && column.connections === connections)
  )
  const height = top + all.length * row.height + 8
  const width = label + panels.length * (panel.width + panel.gap)
  const middleOf = (at: number) => top + at * row.height + row.height / 2
  const names = all.map(({ isOurs = false, name }, at) =>
    `<text x="${label - 10}" y="${middleOf(at) + 4}" text-anchor="end"${isOurs ? " class=\"title\"" : ""}>${
      escaped(name)
    }</text>`
  )
  const drawn = panels.flatMap(([{ kind }, rates], at) => {
    const left = label + at * (panel.width + panel.gap)
    const ratios = all.map((contestant) => ratioOf(rates, contestant))
    // What is far above the others leaves room for its number.
    const most = Math.max(1, ...ratios.map((ratio) => ratio?.most ?? 0))
    const x = (ratio: number) => (left + ratio / most * (panel.width - 30)).toFixed(1)
    const bars = ratios.map((ratio, index) => {
      if (ratio === undefined) return `<text class="value" x="${left + 4}" y="${middleOf(index) + 4}">–</text>`
      const { least, middle, most } = ratio
      const y = middleOf(index)
      return `<rect class="bar${all[index]!.isOurs === true ? " ours" : ""}" x="${left}" y="${
        y - row.bar / 2
      }" width="${(Number(x(middle)) - left).toFixed(1)}" height="${row.bar}" rx="1.5"/>` +
        `<path class="whisker" d="M${x(least)} ${y}H${x(most)}M${x(least)} ${y - 3}v6M${x(most)} ${y - 3}v6"/>` +
        `<text class="value" x="${Number(x(most)) + 5}" y="${y + 4}">${middle.toFixed(2)}</text>`
    })
    return [
      `<text class="title" x="${left}" y="${top - 12}">${titles[kind]}</text>`,
      `<line class="one" x1="${x(1)}" x2="${x(1)}" y1="${top - 4}" y2="${height - 8}"/>`,
      ...bars
    ]
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img"`,
    ` aria-label="Requests a second by those of bare node:http">`,
    `<style>${style}\n</style>`,
    `<text class="title" x="${label}" y="18">Requests a second on one core, by those of bare node:http</text>`,
    `<text class="note" x="${label}" y="35">${connections} connections; median of the rounds, with the least and the most</text>`,
    ...names,
    ...drawn,
    "</svg>\n"
  ].join("\n")
}
