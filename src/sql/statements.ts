/** What the storage says to the database. */
import { type DialectName, dialects, numbered } from "./dialect.js"

/** The name of the collects of everything; the others are digests. */
export const everything = "*"

/** How many rows one step of a sweep is about. */
export const batch = 500

const statementsOf = (name: DialectName, prefix: string, maxFill: number) => {
  const {
    each,
    eachMember,
    greatest,
    insertCollect,
    isAfter,
    isPresent,
    isUnlocked,
    lockPlace,
    moment,
    now,
    seconds,
    strongest
  } = dialects[name]
  const [items, groups, collects, state] = [
    `${prefix}items`,
    `${prefix}groups`,
    `${prefix}collects`,
    `${prefix}state`
  ] as const
  /** The strongest of the collects that the item `i` has missed. */
  const missed = (from: string, condition: string) =>
    `COALESCE(${strongest(from, `${condition} AND ${isAfter("i.since")}`)}, 0)`
  /** What collects have done to the item `i`. SQLite finds one name in half the time that it takes for one of two. */
  const force = `${greatest}(i.force, ${missed(`${collects} c`, "c.name = i.key_hash")},
      ${missed(`${collects} c`, `c.name = '${everything}'`)},
      ${missed(`${groups} g JOIN ${collects} c ON c.name = g.name`, "g.item = i.id")})`
  const isAlone = `NOT EXISTS (SELECT 1 FROM ${items} o
      WHERE o.key_hash = i.key_hash AND o.partition_hash = i.partition_hash AND o.id <> i.id)`
  const isInPlace = "i.key_hash = ? AND i.partition_hash = ?"
  const head = `i.id, i.head, ${force} AS force`
  const recordIfAlone = `CASE WHEN ${isAlone} THEN i.record END AS record`
  const ids = `(SELECT CAST(n.name AS BIGINT) FROM ${each} n)`
  /** Collects that a sweep has seen, and that the item `i` has missed. */
  const settles = `c.turn IS NOT NULL AND c.force = CAST(? AS INTEGER) AND i.force < c.force AND ${isAfter("i.since")}`
  return {
    get: `SELECT ${head}, ${recordIfAlone} FROM ${items} i WHERE ${isInPlace} ORDER BY i.id`,
    /** The same, and where the storage stands; one row without an item where there is none. */
    begin: `SELECT s.turn, ${now(collects)} AS moment, ${head}, ${recordIfAlone}
    FROM ${state} s LEFT JOIN ${items} i ON ${isInPlace} WHERE s.id = 1 ORDER BY i.id`,
    getHeads: `SELECT ${head}, NULL AS record FROM ${items} i WHERE ${isInPlace} ORDER BY i.id`,
    record: `SELECT record FROM ${items} WHERE id = ?`,
    /** By a collect that is none of these; no row where the present state can't be seen. */
    isOvertaken: `WITH fill(since) AS (SELECT ${moment})
    SELECT s.turn, ${now(collects)} AS moment, EXISTS (SELECT 1 FROM ${collects} c, fill
      WHERE c.name IN ${each} AND c.force IN (1, 2, 3) AND ${isAfter("fill.since")} AND c.id NOT IN ${ids}) AS overtaken
    FROM ${state} s WHERE s.id = 1 AND ${isPresent(maxFill)}`,
    lockPlace: lockPlace(prefix),
    insertItem: `INSERT INTO ${items} (key_hash, partition_hash, since, retain_until, bytes, head, record)
    VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`,
    insertGroups: `INSERT INTO ${groups} (item, name) SELECT CAST(? AS BIGINT), n.name FROM ${each} n`,
    deleteGroups: `DELETE FROM ${groups} WHERE item IN ${ids}`,
    deleteItems: `DELETE FROM ${items} WHERE id IN ${ids}`,
    collect: `${insertCollect} INTO ${collects} (name, said, force)
    SELECT n.name, n.said, CAST(? AS INTEGER) FROM ${eachMember} n RETURNING id`,
    /** What was collected since a moment, and where the storage stands; one row without a name where there is nothing. */
    collected: `WITH fill(since) AS (SELECT ${moment})
    SELECT s.turn, ${now(collects)} AS moment, c.said, c.force
    FROM fill CROSS JOIN ${state} s LEFT JOIN ${collects} c ON ${isAfter("fill.since")}
    WHERE s.id = 1 ORDER BY c.id`,
    start: `INSERT INTO ${state} (id, turn, swept_at) VALUES (1, ?, 0) ON CONFLICT (id) DO NOTHING`,
    measure: `SELECT COUNT(*) AS items, COALESCE(SUM(bytes), 0) AS bytes FROM ${items}`,
    oldest: `SELECT id, bytes FROM ${items} ORDER BY id LIMIT ${batch}`,
    expired: `SELECT id FROM ${items} WHERE retain_until <= ? LIMIT ${batch}`,
    nextTurn: `UPDATE ${state} SET turn = turn + 1, swept_at = ${seconds}
    WHERE ABS(${seconds} - swept_at) >= ${maxFill} AND ${isUnlocked(prefix)} RETURNING turn`,
    see: `UPDATE ${collects} SET turn = ? WHERE turn IS NULL`,
    unsettled: `SELECT i.id FROM ${collects} c JOIN ${items} i ON i.key_hash = c.name WHERE ${settles}
    UNION SELECT i.id FROM ${collects} c JOIN ${groups} g ON g.name = c.name JOIN ${items} i ON i.id = g.item
      WHERE ${settles}
    UNION SELECT i.id FROM ${collects} c JOIN ${items} i ON c.name = '${everything}' WHERE ${settles}
    LIMIT ${batch}`,
    settle: `UPDATE ${items} SET force = CAST(? AS INTEGER) WHERE id IN ${ids}`,
    forget: `DELETE FROM ${collects} WHERE turn < ?`
  }
}

export type Statements = ReturnType<typeof statementsOf>

/** `maxFill`: seconds. */
export const statements = (name: DialectName, prefix: string, maxFill: number): Statements => {
  const texts = Object.entries(statementsOf(name, prefix, maxFill))
  return Object.fromEntries(texts.map(([key, text]) => [key, numbered(name, text)])) as Statements
}
