/** As one text each: what is collected, that is a URI, a group or everything; and the place where responses are kept. */

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

/** The place of all that is kept for everybody, or for one partition, of a URI. */
export const nameOfPlace = ({ key, partition }: { readonly key: string; readonly partition: string }): string =>
  partition === "" ? key : JSON.stringify([key, partition])
