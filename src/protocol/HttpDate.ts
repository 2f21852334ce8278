/** Timestamps of HTTP in milliseconds since the epoch (RFC 9110 §5.6.7). */

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

const imfFixdate = /^[a-z]{3}, (\d{2}) ([a-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) gmt$/i
const rfc850 = /^[a-z]{6,9}, (\d{2})-([a-z]{3})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) gmt$/i
const asctime = /^[a-z]{3} ([a-z]{3}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/i

const time = (
  year: number,
  monthName: string,
  day: string,
  hour: string,
  minute: string,
  second: string
): number | undefined => {
  const month = months.indexOf(monthName.toLowerCase())
  // A leap second is written :60 and taken for the second before it.
  if (month < 0 || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined
  const midnight = new Date(0)
  midnight.setUTCFullYear(year, month, Number(day))
  if (midnight.getUTCMonth() !== month || midnight.getUTCDate() !== Number(day)) return undefined
  return midnight.getTime() + ((Number(hour) * 60 + Number(minute)) * 60 + Math.min(Number(second), 59)) * 1000
}

/** The latest IMF-fixdate that was read, which many messages have in common. */
let latestRead: { readonly text: string; readonly time: number | undefined } = { text: "", time: undefined }

/**
 * Strict in form, without regard to case or to the day's name (RFC 9111 §4.2); `undefined` when it is no date.
 * `now` places the two-digit year of the RFC 850 form.
 */
export const parse = (text: string | undefined, now: number): number | undefined => {
  if (text === undefined) return undefined
  if (text === latestRead.text) return latestRead.time
  let match = imfFixdate.exec(text)
  if (match !== null) {
    latestRead = { text, time: time(Number(match[3]), match[2]!, match[1]!, match[4]!, match[5]!, match[6]!) }
    return latestRead.time
  }
  match = asctime.exec(text)
  if (match !== null) return time(Number(match[6]), match[1]!, match[2]!, match[3]!, match[4]!, match[5]!)
  match = rfc850.exec(text)
  if (match === null) return undefined
  const century = Math.floor(new Date(now).getUTCFullYear() / 100) * 100
  const inYear = (year: number) => time(year, match![2]!, match![1]!, match![4]!, match![5]!, match![6]!)
  const recent = inYear(century + Number(match[3]))
  const inFiftyYears = new Date(now).setUTCFullYear(new Date(now).getUTCFullYear() + 50)
  return recent !== undefined && recent > inFiftyYears ? inYear(century - 100 + Number(match[3])) : recent
}

/** The latest second that was written. */
let latestWritten = { second: NaN, text: "" }

/** The IMF-fixdate of the second that `time` lies in. */
export const format = (time: number): string => {
  const second = Math.floor(time / 1000)
  if (second !== latestWritten.second) latestWritten = { second, text: new Date(time).toUTCString() }
  return latestWritten.text
}
