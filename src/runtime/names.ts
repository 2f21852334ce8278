/** What is collected, as one text each: a URI, a group or everything. */

export const nameOfKey = (key: string): string => `k${key}`
export const nameOfGroup = (group: string): string => `g${group}`
export const everything = "everything"

/** The key or the group that a name is of. */
export const textOf = (name: string): string => name === everything ? name : name.slice(1)

export const kindOf = (name: string): "uri" | "group" | "everything" =>
  name === everything ? "everything" : name.startsWith("k") ? "uri" : "group"

/** What a name is of, as a storage is told it. */
export const namedBy = (name: string) => {
  const text = textOf(name)
  const kind = kindOf(name)
  if (kind === "everything") return { keys: [], groups: [], everything: true }
  return kind === "uri" ? { keys: [text], groups: [] } : { keys: [], groups: [text] }
}
