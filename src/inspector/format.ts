/** Numbers, sizes and times as people read them. */

export const count = (value: number): string => value.toLocaleString("en-US")

const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const

export const bytes = (value: number): string => {
  let at = 0
  let left = value
  for (; left >= 1024 && at < units.length - 1; at++) left /= 1024
  return `${at === 0 || left >= 100 ? Math.round(left) : left.toFixed(1)} ${units[at]}`
}

/** `undefined`: of nothing. */
export const percent = (part: number | undefined): string =>
  part === undefined ? "–" : `${(part * 100).toFixed(part === 0 || part === 1 ? 0 : 1)}%`

const steps = [[86_400, "d"], [3600, "h"], [60, "min"]] as const

/** Of milliseconds: the two largest units of it, rounded down. */
export const duration = (millis: number): string => {
  const seconds = Math.floor(Math.max(0, millis) / 1000)
  const at = steps.findIndex(([of]) => seconds >= of)
  if (at === -1) return `${seconds} s`
  const [of, unit] = steps[at]!
  const [nextOf, next] = steps[at + 1] ?? [1, "s"]
  const rest = Math.floor(seconds % of / nextOf)
  return `${Math.floor(seconds / of)} ${unit}${rest === 0 ? "" : ` ${rest} ${next}`}`
}

/** Of epoch milliseconds. */
export const timeOfDay = (millis: number): string => `${new Date(millis).toISOString().slice(11, 16)} UTC`

export const moment = (millis: number): string =>
  Number.isFinite(millis) && Math.abs(millis) < 8.64e15
    ? `${new Date(millis).toISOString().slice(0, 19).replace("T", " ")} UTC`
    : "never"
