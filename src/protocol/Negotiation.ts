/** Chooses, of what a server has, what a client prefers: a language (RFC 4647 §3.4) or a coding (RFC 9110 §12.5.3). */
import * as Fields from "./Fields.js"
import { remembering } from "./Remembering.js"

interface Preference {
  readonly name: string
  /** From 0, which is a refusal, to 1. */
  readonly weight: number
}

// RFC 9110 §12.4.2
const weight = /^(?:0(?:\.\d*)?|1(?:\.0*)?)$/

const preferenceOf = (member: string): ReadonlyArray<Preference> => {
  const [name = "", ...parameters] = member.toLowerCase().split(";").map(Fields.trim)
  const [text = "1"] = parameters.flatMap((parameter) => /^q[ \t]*=[ \t]*(.*)$/.exec(parameter)?.[1] ?? [])
  return name === "" || !weight.test(text) ? [] : [{ name, weight: Number(text) }]
}

/** The larger weight first, and those of one weight as they were sent; a member whose weight is none says nothing. */
const preferencesIn = (value: string): ReadonlyArray<Preference> =>
  Fields.members(value).flatMap(preferenceOf).sort((one, other) => other.weight - one.weight)

/** A longer value is read each time; nobody's preferences need more. */
const longest = 1024

/** An absent field prefers nothing, as an empty one does. */
const choosing = (choose: (preferences: ReadonlyArray<Preference>) => string) => {
  const chosen = remembering(longest)
  return (value: string | undefined): string => chosen(value ?? "", () => choose(preferencesIn(value ?? "")))
}

/** Whether a language is another one, or a kind of it, as `de-CH` is of `de` (RFC 4647 §3.3.1). */
const isOf = (language: string, other: string): boolean => language === other || language.startsWith(`${other}-`)

const longestOf = (names: ReadonlyArray<string>): string | undefined =>
  names.reduce<string | undefined>(
    (best, name) => best === undefined || name.length > best.length ? name : best,
    undefined
  )

/** What is named most closely says whether a language is refused. */
const isRefused = (tag: string, preferences: ReadonlyArray<Preference>): boolean => {
  const nearest = longestOf(preferences.map(({ name }) => name).filter((name) => isOf(tag, name)))
  return nearest !== undefined && preferences.find(({ name }) => name === nearest)!.weight === 0
}

/**
 * The language that a client prefers, in lower case, by lookup: the longest of these languages that its first range equals, or
 * begins with; else the same for the next range. `*` says nothing, and a weight of 0 refuses. If no range finds one, it is the
 * first language that is not refused; if all are, the first.
 */
export const language = (languages: ReadonlyArray<string>) => {
  const tags = languages.map((tag) => tag.toLowerCase())
  return choosing((preferences) => {
    const accepted = tags.filter((tag) => !isRefused(tag, preferences))
    for (const { name, weight } of preferences) {
      const found = weight === 0 ? undefined : longestOf(accepted.filter((tag) => isOf(name, tag)))
      if (found !== undefined) return found
    }
    return accepted[0] ?? tags[0]!
  })
}

/** Old names of codings (RFC 9110 §8.4.1). */
const codingOf = (name: string): string => name === "x-gzip" || name === "x-compress" ? name.slice(2) : name

const identity = "identity"

/**
 * The coding that a client prefers, the first of those of one weight; `identity` where it names none of them, or prefers that.
 * Who sends no field is sent `identity`, which everybody can read.
 */
export const coding = (codings: ReadonlyArray<string>) => {
  const all = codings.map((coding) => coding.toLowerCase())
  return choosing((preferences) => {
    const weightOf = (coding: string, other: number) =>
      preferences.find(({ name }) => codingOf(name) === coding)?.weight ?? other
    const others = weightOf("*", 0)
    let best = identity
    // Not named, it is what is left.
    let most = weightOf(identity, 0)
    for (const coding of all) {
      const weight = weightOf(coding, others)
      if (weight > 0 && (weight > most || (best === identity && weight === most))) {
        best = coding
        most = weight
      }
    }
    return best
  })
}
