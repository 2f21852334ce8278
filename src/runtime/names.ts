/** What is collected, as one text each: a URI, a group or everything. */

export const nameOfKey = (key: string): string => `k${key}`
export const nameOfGroup = (group: string): string => `g${group}`
export const everything = "everything"

/** The key or the group that a name is of. */
export const textOf = (name: string): string => name === everything ? name : name.slice(1)

/** What a name is of, as a storage is told it. */
export const namedBy = (name: string) => {
  const text = textOf(name)
  if (name === everything) return { keys: [], groups: [], everything: true }
  return name.startsWith("k") ? { keys: [text], groups: [] } : { keys: [], groups: [text] }
}
