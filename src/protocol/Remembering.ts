/** What is made of texts that come again and again, such as the hosts of requests: it is made once for each, within a bound. */

const maxTexts = 1000

/**
 * Remembers what was made of a text, unless that is longer than `longest`. Units: UTF-16. When there are a thousand, all are
 * forgotten.
 */
export const remembering = <A = string>(longest: number) => {
  const known = new Map<string, A>()
  return (text: string, make: () => A): A => {
    if (text.length > longest) return make()
    let made = known.get(text)
    if (made === undefined) {
      if (known.size >= maxTexts) known.clear()
      known.set(text, made = make())
    }
    return made
  }
}
