/** Markup in which each text is escaped, wherever it comes from. */

export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** What stands in a template: a text is escaped, `undefined` and `false` are nothing. */
export type Value = Html | string | number | undefined | false | ReadonlyArray<Html>

const entities: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;",
  "`": "&#96;"
}

export const escape = (text: string): string => text.replace(/[&<>"'`]/g, (character) => entities[character]!)

const textOf = (value: Value): string => {
  if (value === undefined || value === false) return ""
  if (value instanceof Html) return value.text
  if (typeof value === "string") return escape(value)
  return typeof value === "number" ? String(value) : value.map(({ text }) => text).join("")
}

export const html = (parts: TemplateStringsArray, ...values: ReadonlyArray<Value>): Html =>
  new Html(parts.reduce((text, part, at) => text + textOf(values[at - 1]) + part))
