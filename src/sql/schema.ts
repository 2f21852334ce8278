/**
 * The tables:
 * - `items`: what is stored. Its name, its variant and its date are in `head`, and all of it in `record`. `since` is the
 *   moment at which its fill began; `force` is what settled collects have done to it.
 * - `groups`: which groups an item is of.
 * - `collects`: the collects that fills or items may have missed, a row for each name, which `said` has in full, in JSON. `turn` is when a
 *   sweep saw it first.
 * - `state`: one row. A sweep begins a turn, and a fill is known in the turn in which it began and in the next one. The first
 *   turn is random: where the tables were emptied, no fill from before is known.
 */
import { type DialectName, dialects } from "./dialect.js"

export const schema = (name: DialectName, prefix: string): ReadonlyArray<string> => {
  const { indexesOfCollects, momentOfCollect, table, tableOptions, types } = dialects[name]
  return [
    `CREATE ${table} IF NOT EXISTS ${prefix}items (
  id ${types.id},
  key_hash TEXT NOT NULL,
  partition_hash TEXT NOT NULL,
  since ${types.moment} NOT NULL,
  force INTEGER NOT NULL DEFAULT 0,
  retain_until ${types.real} NOT NULL,
  bytes BIGINT NOT NULL,
  head TEXT NOT NULL,
  record ${types.bytes} NOT NULL
)${tableOptions}`,
    `CREATE INDEX IF NOT EXISTS ${prefix}items_place ON ${prefix}items (key_hash, partition_hash)`,
    `CREATE INDEX IF NOT EXISTS ${prefix}items_expiry ON ${prefix}items (retain_until, bytes)`,
    `CREATE ${table} IF NOT EXISTS ${prefix}groups (
  item BIGINT NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (item, name)
)${name === "pg" ? "" : " WITHOUT ROWID"}`,
    `CREATE INDEX IF NOT EXISTS ${prefix}groups_name ON ${prefix}groups (name)`,
    `CREATE ${table} IF NOT EXISTS ${prefix}collects (
  id ${types.id},
  name TEXT NOT NULL,
  said TEXT NOT NULL,
  force INTEGER NOT NULL,
  turn BIGINT${momentOfCollect}
)`,
    ...indexesOfCollects(`${prefix}collects`),
    `CREATE ${table} IF NOT EXISTS ${prefix}state (
  id INTEGER PRIMARY KEY,
  turn BIGINT NOT NULL,
  swept_at BIGINT NOT NULL
)`
  ]
}
