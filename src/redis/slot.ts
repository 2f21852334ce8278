/** The slot of a key in a cluster: CRC-16 (XMODEM) of its hash tag, as the specification of Redis Cluster has it. */

const slots = 16_384

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
  return crc & 0xffff
})

/** What stands in the first braces; the whole key where nothing does. */
const tagOf = (key: string): string => {
  const from = key.indexOf("{")
  const to = key.indexOf("}", from + 1)
  return from === -1 || to <= from + 1 ? key : key.slice(from + 1, to)
}

export const slotOf = (key: string): number => {
  let crc = 0
  for (const byte of Buffer.from(tagOf(key))) crc = ((crc << 8) & 0xffff) ^ table[((crc >> 8) ^ byte) & 0xff]!
  return crc % slots
}
