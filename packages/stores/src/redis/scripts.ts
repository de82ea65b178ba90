import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

/** A Lua script and its digest. */
export interface Script {
  readonly source: string;
  readonly sha: string;
}

function script(source: string): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

/**
 * Applies one slice of a commit, which covers the changelog range [prev, next).
 *
 *     KEYS  1 main hash, then the segments touched, then the segments that expire
 *     ARGV  1 epoch  2 topic id  3 incarnation  4 prev  5 next  6 end of the whole commit  7 broker time  8 input positions,
 *           '' to leave them  9 building mark, '' for none  10 live segments after it, '=' to leave them
 *           11 windows before this are gone, '' to leave it  12 stream time  13 changes of the main hash, '' for none
 *           14 count of touched segments; then for each 'old' or 'new', and its changes
 *     reply verdict ('applied', 'replay', 'gap', 'fenced', 'lost'), stored next offset, stored epoch
 *
 * Changes are MessagePack, [[field, value, …], [deleted field, …]]. The order of the checks is part of the protocol.
 * Contiguity is prev <= o < next, not equality: values are absolute, so a slice is right on any state in between, and a replay
 * may cut differently. An empty range, at where the data stands, brings positions only. That a segment is there is asked last: a slice that is sent again may touch one that has expired since.
 * The marks come last: an error on the way (no memory left) keeps `o`, and the same slice is applied again. `unpack` fails at
 * 8,000 values, hence the pieces of 7,000.
 */
export const commitScript: Script = script(`
local main, incarnation = KEYS[1], ARGV[3]
local m = redis.call('HMGET', main, '\\0e', '\\0t', '\\0i', '\\0o')
local epoch, o = tonumber(m[1]), tonumber(m[4])
if epoch and tonumber(ARGV[1]) < epoch then return {'fenced', m[4] or '', m[1]} end
if not o or m[2] ~= ARGV[2] or m[3] ~= incarnation then return {'lost', m[4] or '', m[1] or ''} end
if o >= tonumber(ARGV[5]) then
  if o == tonumber(ARGV[4]) and ARGV[8] ~= '' then redis.call('HSET', main, '\\0p', ARGV[8]) end
  return {'replay', m[4], m[1]}
end
if o < tonumber(ARGV[4]) then return {'gap', m[4], m[1]} end
local touched = tonumber(ARGV[14])
for i = 1, touched do
  if ARGV[13 + 2 * i] == 'old' and redis.call('HGET', KEYS[1 + i], '\\0i') ~= incarnation then
    return {'lost', m[4], m[1]}
  end
end
local function apply(h, packed)
  local changes = cmsgpack.unpack(packed)
  local set, gone = changes[1], changes[2]
  for i = 1, #set, 7000 do redis.call('HSET', h, unpack(set, i, math.min(i + 6999, #set))) end
  for i = 1, #gone, 7000 do redis.call('HDEL', h, unpack(gone, i, math.min(i + 6999, #gone))) end
end
if ARGV[13] ~= '' then apply(main, ARGV[13]) end
for i = 1, touched do
  local h = KEYS[1 + i]
  if ARGV[13 + 2 * i] == 'new' then redis.call('UNLINK', h) end
  apply(h, ARGV[14 + 2 * i])
  redis.call('HSET', h, '\\0i', incarnation, '\\0w', ARGV[5])
end
for i = touched + 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
if ARGV[9] == '' then redis.call('HDEL', main, '\\0s') else redis.call('HSET', main, '\\0s', ARGV[9]) end
if ARGV[8] ~= '' then redis.call('HSET', main, '\\0p', ARGV[8]) end
if ARGV[10] ~= '=' then redis.call('HSET', main, '\\0g', ARGV[10]) end
if ARGV[11] ~= '' then redis.call('HSET', main, '\\0x', ARGV[11]) end
redis.call('HSET', main, '\\0e', ARGV[1], '\\0m', ARGV[7], '\\0u', ARGV[12], '\\0c', ARGV[6],
  '\\0o', ARGV[5])
return {'applied', ARGV[5], ARGV[1]}
`);

/**
 * Tells where the data stands, and sets the epoch if it can be gone on with.
 *
 *     KEYS  main hash     ARGV  1 epoch  2 topic id  3 start of the keys of segments
 *     reply verdict ('claimed', 'higher': of a later epoch, 'foreign': of another changelog, 'nothing'), o, stored epoch,
 *           incarnation, broker time, building mark, positions, expired before, live segments,
 *           stream time, then for each segment its incarnation and next offset
 */
export const claimScript: Script = script(`
local main = KEYS[1]
local m = redis.call('HMGET', main, '\\0o', '\\0e', '\\0i', '\\0m', '\\0s', '\\0p', '\\0x', '\\0g', '\\0u', '\\0t')
for i = 1, 10 do m[i] = m[i] or '' end
local verdict = 'claimed'
if m[1] == '' or m[2] == '' or m[3] == '' then verdict = 'nothing'
elseif m[10] ~= ARGV[2] then verdict = 'foreign'
elseif tonumber(ARGV[1]) < tonumber(m[2]) then verdict = 'higher'
else redis.call('HSET', main, '\\0e', ARGV[1]) end
local reply = {verdict, m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9]}
for segment in string.gmatch(m[8], '[^,]+') do
  local s = redis.call('HMGET', ARGV[3] .. segment, '\\0i', '\\0w')
  reply[#reply + 1] = s[1] or ''
  reply[#reply + 1] = s[2] or ''
end
return reply
`);

/**
 * Empties a partition for a rebuild, unless a later owner has it.
 *
 *     KEYS  main hash     ARGV  1 epoch  2 topic id  3 new incarnation  4 building mark, '' for none  5 start of segments' keys
 *                               6 first offset of the changelog  7 later epochs up to this were of a log that was cut short
 *     reply 'reset' or 'fenced', stored epoch
 */
export const resetScript: Script = script(`
local main = KEYS[1]
local m = redis.call('HMGET', main, '\\0e', '\\0t', '\\0g')
local epoch = tonumber(m[1])
if epoch and m[2] == ARGV[2] and tonumber(ARGV[1]) < epoch and epoch > tonumber(ARGV[7]) then return {'fenced', m[1]} end
for segment in string.gmatch(m[3] or '', '[^,]+') do redis.call('UNLINK', ARGV[5] .. segment) end
redis.call('UNLINK', main)
redis.call('HSET', main, '\\0i', ARGV[3], '\\0t', ARGV[2], '\\0e', ARGV[1], '\\0c', ARGV[6], '\\0o', ARGV[6])
if ARGV[4] ~= '' then redis.call('HSET', main, '\\0s', ARGV[4]) end
return {'reset', ARGV[1]}
`);

/**
 * Runs a script by its digest. A server that forgot it (restart, SCRIPT FLUSH) gets the source, then *behind* commands sent
 * since: so callers tolerate a reordering, by the marks that every read carries.
 */
export async function run(
  redis: Redis,
  { source, sha }: Script,
  keys: readonly string[],
  args: readonly (string | number | Buffer)[],
): Promise<readonly string[]> {
  try {
    return (await redis.evalsha(sha, keys.length, ...keys, ...args)) as readonly string[];
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return (await redis.eval(source, keys.length, ...keys, ...args)) as readonly string[];
  }
}
