/** What is said in one way to SQLite and in another to PostgreSQL. */

export type DialectName = "sqlite" | "pg"

interface Dialect {
  /** The types of columns. */
  readonly types: { readonly id: string; readonly moment: string; readonly bytes: string; readonly real: string }
  /** What a collect is compared with moments by, beside its number. */
  readonly momentOfCollect: string
  readonly indexesOfCollects: (collects: string) => ReadonlyArray<string>
  /** Keeps a collect. What it makes needless may go. */
  readonly insertCollect: string
  /** The strongest of the collects `c` that a condition is true of. */
  readonly strongest: (from: string, condition: string) => string
  /** The greatest of several values. */
  readonly greatest: string
  /** Tables that are left empty where the server crashes: what is not known counts as collected. */
  readonly table: string
  readonly tableOptions: string
  /** The present moment, as a text or a number. `collects`: the name of the table of collects. */
  readonly now: (collects: string) => string
  /** A moment that is given as a parameter. */
  readonly moment: string
  /** Whether the collect `c` was not committed yet at a moment. */
  readonly isAfter: (moment: string) => string
  /** The texts of a JSON list that is given as a parameter, as the column `name`. */
  readonly each: string
  /** The members of a JSON object that is given as a parameter, as the columns `name` and `said`. */
  readonly eachMember: string
  /** The clock of the database. Seconds. */
  readonly seconds: string
  /**
   * Waits until no other writes to the place that is given as the second parameter. The first is the turn of the fill: while one
   * of a turn is stored, the turn after the next does not begin.
   */
  readonly lockPlace: (prefix: string) => string
  /** A condition: no turn can have begun since the transaction saw the state `s`, where turns take so many seconds. */
  readonly isPresent: (maxFill: number) => string
  /** A condition: no fill is being stored that would be known no more in the turn after this one. */
  readonly isUnlocked: (prefix: string) => string
}

/** One writes at a time, so that the numbers of collects are in the order in which they are committed. */
const sqlite: Dialect = {
  types: { id: "INTEGER PRIMARY KEY AUTOINCREMENT", moment: "INTEGER", bytes: "BLOB", real: "REAL" },
  momentOfCollect: "",
  indexesOfCollects: (collects) => [
    `CREATE UNIQUE INDEX IF NOT EXISTS ${collects}_name ON ${collects} (name, force)`
  ],
  insertCollect: "INSERT OR REPLACE",
  strongest: (from, condition) => `(SELECT MAX(c.force) FROM ${from} WHERE ${condition})`,
  greatest: "MAX",
  table: "TABLE",
  tableOptions: "",
  now: (collects) => `(SELECT COALESCE(MAX(id), 0) FROM ${collects})`,
  moment: "?",
  isAfter: (moment) => `c.id > ${moment}`,
  each: "(SELECT value AS name FROM json_each(?))",
  eachMember: "(SELECT key AS name, value AS said FROM json_each(?))",
  seconds: "CAST(strftime('%s', 'now') AS INTEGER)",
  // A statement that writes takes the lock, also where it finds nothing to write.
  lockPlace: (prefix) => `DELETE FROM ${prefix}state WHERE id = 0 AND ? IS NULL AND ? IS NULL`,
  isPresent: () => "TRUE",
  isUnlocked: () => "TRUE"
}

const lockOfTurn = (prefix: string, turn: string): string =>
  `hashtext('${prefix}turn'), CAST((${turn}) % 2147483647 AS INTEGER)`

const secondsOfPg = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)"

/** Of many that write at a time, a snapshot knows which had been committed. */
const pg: Dialect = {
  types: {
    id: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    moment: "pg_snapshot",
    bytes: "BYTEA",
    real: "DOUBLE PRECISION"
  },
  momentOfCollect: ",\n  xid xid8 NOT NULL DEFAULT pg_current_xact_id()",
  indexesOfCollects: (collects) => [
    `CREATE INDEX IF NOT EXISTS ${collects}_name ON ${collects} (name, force, xid)`,
    `CREATE INDEX IF NOT EXISTS ${collects}_xid ON ${collects} (xid)`
  ],
  // Two that are collected by transactions at the same time don't wait for each other.
  insertCollect: "INSERT",
  // Of a thousand collects of one name one is looked at for each force.
  strongest: (from, condition) =>
    `(SELECT MAX(f.force) FROM (VALUES (1), (2), (3)) f(force) WHERE
      EXISTS (SELECT 1 FROM ${from} WHERE c.force = f.force AND ${condition}))`,
  greatest: "GREATEST",
  table: "UNLOGGED TABLE",
  // A content of more than some hundred bytes is kept apart from the rest of its row.
  tableOptions: " WITH (toast_tuple_target = 256)",
  now: () => "CAST(pg_current_snapshot() AS TEXT)",
  moment: "CAST(? AS pg_snapshot)",
  isAfter: (moment) => `c.xid >= pg_snapshot_xmin(${moment}) AND NOT pg_visible_in_snapshot(c.xid, ${moment})`,
  each: "(SELECT json_array_elements_text(CAST(? AS JSON)) AS name)",
  eachMember: "(SELECT key AS name, value AS said FROM json_each_text(CAST(? AS JSON)))",
  seconds: secondsOfPg,
  lockPlace: (prefix) =>
    `SELECT pg_advisory_xact_lock_shared(${lockOfTurn(prefix, "CAST(? AS BIGINT)")}),
      pg_advisory_xact_lock(hashtext('${prefix}place'), hashtext(?))`,
  // By any other isolation a transaction sees what was there when it began.
  isPresent: (maxFill) =>
    `(current_setting('transaction_isolation') IN ('read committed', 'read uncommitted') OR ABS(${secondsOfPg} - s.swept_at) < ${maxFill})`,
  isUnlocked: (prefix) => `pg_try_advisory_xact_lock(${lockOfTurn(prefix, "turn - 1")})`
}

export const dialects: { readonly [Name in DialectName]: Dialect } = { sqlite, pg }

/** The text with the parameters as the database numbers them. */
export const numbered = (name: DialectName, text: string): string => {
  let count = 0
  return name === "sqlite" ? text : text.replace(/\?/g, () => `$${++count}`)
}
