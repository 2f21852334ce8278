/**
 * What Redis does in one atomic step. All that is of a URI is in one hash, and a sorted set of its items by when they may go:
 *
 * - `t` is a token of the first fill since the hash is there, `n` the number of soft collects since then, `u` and `s` the
 *   numbers of the latest ones with `"unless-error"` and with `true`. A collect that forgets removes the hash.
 * - `i…` is the record of an item. `l…` are the lists of field names of a partition's items, and `p…` is, for each of them,
 *   its variant, its list and its id, the newest last.
 *
 * The ledger is one sorted set. `e` is its random name, `n` counts the collects of groups and of everything. A group, and
 * `*` for everything, has the number of its latest collect, one for each force: `h` forgets, `s` is soft, `u` is soft
 * unless there is an error. `-` is the latest number that was dropped for there were too many.
 */
import { createHash } from "node:crypto"

export interface Script {
  readonly text: string
  readonly sha: string
}

const scriptOf = (text: string): Script => ({ text, sha: createHash("sha1").update(text).digest("hex") })

/** Of the server, and of its time as the one that is written to: one that was a replica meanwhile may have missed a collect. */
const runId =
  `table.concat({ string.match(redis.call('INFO', 'server', 'replication'), 'run_id:(%w+).*master_replid:(%w+)') })`

/** The scores of the members from there on. Lua hands on some 8,000 values at once. */
const scoresFrom = `
local function scoresFrom(first)
  local scores = {}
  for at = first, #ARGV, 5000 do
    local some = redis.call('ZMSCORE', KEYS[1], unpack(ARGV, at, math.min(at + 4999, #ARGV)))
    for _, score in ipairs(some) do scores[#scores + 1] = score end
  end
  return scores
end`

/** Known to one server by its sha: to the one that answered with its run id when it was given the text. */
export const witness = (nonce: string): Script =>
  scriptOf(`-- ${nonce}
if ARGV[1] == 'run' then return ${runId} end
if not ARGV[1] then return 1 end${scoresFrom}
return scoresFrom(1)`)

/** ARGV: a token, how long a fill lasts, the fields. Answers the run id and the values of the fields. */
export const begin = scriptOf(`
redis.call('HSETNX', KEYS[1], 't', ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return { ${runId}, redis.call('HMGET', KEYS[1], unpack(ARGV, 3)) }`)

const named = `
local function named()
  if not redis.call('ZSCORE', KEYS[1], 'e') then redis.call('ZADD', KEYS[1], ARGV[1], 'e', 0, 'n') end
  if redis.call('PTTL', KEYS[1]) < ARGV[2] / 2 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
end`

/** ARGV: a name for the ledger, how long it lasts, the members. Answers the run id and the scores of the members. */
export const beginLedger = scriptOf(`${named}${scoresFrom}
named()
return { ${runId}, scoresFrom(3) }`)

/** ARGV: a name for the ledger, how long it lasts, how many collects it holds, a channel, a message, the members. */
export const collectLedger = scriptOf(`${named}
named()
local number = redis.call('ZINCRBY', KEYS[1], 1, 'n')
for at = 6, #ARGV do redis.call('ZADD', KEYS[1], number, ARGV[at]) end
local extra = redis.call('ZCARD', KEYS[1]) - ARGV[3]
if extra > 0 then
  local oldest = redis.call('ZRANGE', KEYS[1], 0, extra + 6, 'WITHSCORES')
  local dropped
  for at = 1, #oldest, 2 do
    local isCollect = string.match(oldest[at], '^[hsu]')
    if isCollect then
      redis.call('ZREM', KEYS[1], oldest[at])
      dropped = oldest[at + 1]
    end
  end
  if dropped then redis.call('ZADD', KEYS[1], dropped, '-') end
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1`)

/**
 * ARGV: the force, a channel, a message; of the fill whose own collect it is, the run, the token and the number, how long a
 * fill lasts, and a token for a new hash. Answers the fill's token and number from now on, where no other collect has overtaken
 * it.
 */
export const collectKey = scriptOf(`
local held = redis.call('HMGET', KEYS[1], 't', 'n')
local goesOn = ARGV[5] and held[1] == ARGV[5] and (held[2] or '0') == ARGV[6] and (ARGV[4] == '' or ${runId} == ARGV[4])
local number = 0
if ARGV[1] == 'h' then
  redis.call('UNLINK', KEYS[1], KEYS[2])
  if goesOn then
    redis.call('HSET', KEYS[1], 't', ARGV[8])
    redis.call('PEXPIRE', KEYS[1], ARGV[7])
  end
elseif redis.call('EXISTS', KEYS[1]) == 1 then
  number = redis.call('HINCRBY', KEYS[1], 'n', 1)
  redis.call('HSET', KEYS[1], ARGV[1], number)
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return goesOn and { redis.call('HGET', KEYS[1], 't'), number } or 1`)

/**
 * KEYS: the hash, the items by when they may go, and the ledger where it is on the same server. ARGV: what `SetArguments`
 * has, in its order. Answers `kept`, `overtaken`, `refused`, or the lists of field names that the caller did not know.
 */
export const set = scriptOf(`
local hash, index, ledger = KEYS[1], KEYS[2], KEYS[3]
local run, token, number, partition, found = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local lasts, fillLasts, maxVariants = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local variant, list, id, record = ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local lists, members = tonumber(ARGV[13]), tonumber(ARGV[14])
local selected = {}
for at = 15, 13 + 2 * lists, 2 do selected[ARGV[at]] = ARGV[at + 1] end
local ledgerAt = 15 + 2 * lists

if run ~= '' and ${runId} ~= run then return 'overtaken' end
local held = redis.call('HMGET', hash, 't', 'n', 'p' .. partition)
if held[1] ~= token or (held[2] or '0') ~= number then return 'overtaken' end
if ledger then
  local scores = redis.call('ZMSCORE', ledger, 'e', unpack(ARGV, ledgerAt + 2, ledgerAt + 1 + members))
  if scores[1] ~= ARGV[ledgerAt] then return 'overtaken' end
  for at = 2, #scores do
    if scores[at] and tonumber(scores[at]) > tonumber(ARGV[ledgerAt + 1]) then return 'overtaken' end
  end
end

local function fieldOf(partition, variant) return 'i' .. #partition .. ':' .. partition .. variant end

local function drop(partition, variant)
  local field = fieldOf(partition, variant)
  redis.call('HDEL', hash, field)
  redis.call('ZREM', index, field)
end

-- Nothing where somebody else has written it.
local function read(text)
  local isRead, entries = pcall(cjson.decode, text or '[]')
  isRead = isRead and type(entries) == 'table' and (not text or #entries > 0)
  for _, entry in ipairs(isRead and entries or {}) do
    for at = 1, 3 do isRead = isRead and type(entry) == 'table' and type(entry[at]) == 'string' end
  end
  return isRead and entries or nil
end

local function write(partition, entries)
  if #entries == 0 then return redis.call('HDEL', hash, 'p' .. partition, 'l' .. partition) end
  local seen, distinct = {}, {}
  for _, entry in ipairs(entries) do
    if not seen[entry[2]] then
      seen[entry[2]] = true
      distinct[#distinct + 1] = entry[2]
    end
  end
  redis.call('HSET', hash, 'p' .. partition, cjson.encode(entries), 'l' .. partition, cjson.encode(distinct))
end

local entries = read(held[3])
if not entries then
  redis.call('UNLINK', hash, index)
  return 'overtaken'
end
local isThere, isReplacing = found == '', id ~= ''
for _, entry in ipairs(entries) do
  if entry[3] == found then isThere = true end
  if isReplacing and not selected[entry[2]] then return { redis.call('HGET', hash, 'l' .. partition) } end
end
if not isThere then return 'overtaken' end

local rest = {}
for _, entry in ipairs(entries) do
  local isReplaced = entry[3] == found or
    (isReplacing and (entry[1] == variant or selected[entry[2]] == entry[1]))
  if isReplaced then drop(partition, entry[1]) else rest[#rest + 1] = entry end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if record ~= '' then
  while #rest >= maxVariants do drop(partition, table.remove(rest, 1)[1]) end
  rest[#rest + 1] = { variant, list, id }
  local field = fieldOf(partition, variant)
  redis.call('HSET', hash, field, record)
  redis.call('ZADD', index, now + lasts, field)
end
write(partition, rest)

-- What may have gone for longer than a fill lasts: none has found it.
local over = redis.call('ZRANGE', index, '-inf', now - fillLasts, 'BYSCORE', 'LIMIT', 0, 10)
for _, field in ipairs(over) do
  local length, rest = string.match(field, '^i(%d+):(.*)$')
  local other, variant = string.sub(rest, 1, length), string.sub(rest, length + 1)
  local left = {}
  for _, entry in ipairs(read(redis.call('HGET', hash, 'p' .. other)) or {}) do
    if entry[1] ~= variant then left[#left + 1] = entry end
  end
  drop(other, variant)
  write(other, left)
end

-- As long as the last one that is there, and no shorter than a fill that may have begun.
local last = redis.call('ZRANGE', index, 0, 0, 'REV', 'WITHSCORES')[2]
local stays = string.format('%.0f', math.max(last and last - now or 0, fillLasts))
redis.call('PEXPIRE', hash, stays)
redis.call('PEXPIRE', index, stays)
return record ~= '' and 'kept' or 'refused'`)

/** ARGV: the token that the lease was taken with. */
export const giveBack = scriptOf(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end`)
