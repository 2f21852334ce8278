/** The picture of a soak: heap and fibers, second by second. */

export interface Sample {
  /** Seconds since the load began. */
  readonly at: number
  /** Bytes: heap and array buffers, after a collection. */
  readonly heap: number
  readonly fibers: number
}

const chart = { width: 720, height: 200, left: 60, top: 30 }

/** The next 1, 2 or 5 with zeros. */
const roundUp = (value: number): number => {
  const unit = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)))
  return unit * [1, 2, 5, 10].find((step) => step * unit >= value)!
}

interface Run {
  readonly samples: ReadonlyArray<Sample>
  /** Both in seconds. */
  readonly seconds: number
  readonly warmUp: number
}

type Points = ReadonlyArray<readonly [at: number, value: number]>

const panel = ({ seconds, warmUp }: Run, title: string, points: Points, offset: number): string => {
  const { height, left, width } = chart
  const top = offset + chart.top
  const step = roundUp(Math.max(...points.map(([, value]) => value)) / 5)
  const max = step * Math.max(1, Math.ceil(Math.max(...points.map(([, value]) => value)) / step))
  const x = (at: number) => (left + at / seconds * width).toFixed(1)
  const y = (value: number) => (top + height - value / max * height).toFixed(1)
  const stepAt = roundUp(seconds / 8)
  const rows = Array.from({ length: Math.round(max / step) + 1 }, (_, row) => Number((row * step).toPrecision(6)))
  const columns = Array.from({ length: Math.floor(seconds / stepAt) + 1 }, (_, column) => column * stepAt)
  return [
    `<rect x="${left}" y="${top}" width="${warmUp / seconds * width}" height="${height}" fill="#eee"/>`,
    `<text x="${left}" y="${top - 10}" font-weight="bold">${title}</text>`,
    `<text x="${left + 4}" y="${top + 14}" fill="#888">warm-up</text>`,
    ...rows.map((value) =>
      `<line x1="${left}" x2="${left + width}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/>` +
      `<text x="${left - 6}" y="${Number(y(value)) + 4}" text-anchor="end">${value}</text>`
    ),
    ...columns.map((at) => `<text x="${x(at)}" y="${top + height + 16}" text-anchor="middle">${at}</text>`),
    `<text x="${left + width}" y="${top + height + 32}" text-anchor="end">seconds</text>`,
    `<polyline points="${left},${top} ${left},${top + height} ${left + width},${top + height}" ` +
    "fill=\"none\" stroke=\"#000\"/>",
    `<polyline points="${points.map(([at, value]) => `${x(at)},${y(value)}`).join(" ")}" ` +
    "fill=\"none\" stroke=\"#06c\" stroke-width=\"1.5\"/>"
  ].join("\n")
}

/** An SVG. */
export const draw = (run: Run): string => {
  const panelHeight = chart.top + chart.height + 45
  const [width, height] = [chart.left + chart.width + 20, 2 * panelHeight]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`,
    " font-family=\"sans-serif\" font-size=\"12\">",
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    panel(
      run,
      "heap and array buffers after a collection, MiB",
      run.samples.map(({ at, heap }) => [at, heap / 1024 / 1024]),
      0
    ),
    panel(run, "live fibers", run.samples.map(({ at, fibers }) => [at, fibers]), panelHeight),
    "</svg>\n"
  ].join("\n")
}
