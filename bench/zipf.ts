/** A trace in which a few URIs are asked most. */
import type { Dice } from "../test/simulation.js"

/** Which URI is asked next, from 0: the one in place `n` is asked `n ** -exponent` as often as the first. */
export const zipf = (dice: Dice, uris: number, exponent: number): () => number => {
  // How often each is, added up.
  const sums = new Float64Array(uris)
  let sum = 0
  for (let at = 0; at < uris; at++) sums[at] = sum += (at + 1) ** -exponent
  return () => {
    const wanted = dice.next() * sum
    let [low, high] = [0, uris - 1]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sums[middle]! < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}
