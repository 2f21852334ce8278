/**
 * What changes on the page, as server-sent events. Each response ends after one event, and the browser asks again by itself: a
 * connection that stays open would keep a server from closing, and `authorize` is asked each time.
 */
import type { Html } from "./html.js"

/** Until the browser asks again. Milliseconds. */
const pause = 2000

/** Names what is shown: the chart goes on by the minute, also where nothing is asked. */
export const markOf = (revision: number, now: number): string => `${revision}-${Math.floor(now / 60_000)}`

/** One event, in one line of data: JSON has no line breaks. `since`: the mark of what the browser shows. */
export const event = (
  mark: string,
  since: string | undefined,
  parts: () => { readonly [id: string]: Html }
): string => {
  const head = `retry: ${pause}\nid: ${mark}\n`
  if (mark === since) return `${head}\n`
  const texts = Object.fromEntries(Object.entries(parts()).map(([id, { text }]) => [id, text]))
  return `${head}data: ${JSON.stringify(texts)}\n\n`
}
