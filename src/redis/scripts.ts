import type { RedisCommands, Word } from './client.js';

/** The head of a stored value is `startedAt` as text, up to a line feed. Foreign values have none. */
const STARTED_AT = `
local function startedAt(key)
  local head = redis.pcall('GETRANGE', key, 0, 31)
  if type(head) ~= 'string' then return nil end
  return tonumber(string.match(head, '^([-+.%de]+)\\n'))
end
`;

const STORE = `
local function store(key, value, until_)
  if until_ == '' then redis.call('SET', key, value) else redis.call('SET', key, value, 'PXAT', until_) end
end
`;

/** A lease is its token of 32 characters. Whoever waits for its end appends one more. */
const LEASES = `
local function holds(lease, token)
  return redis.pcall('GETRANGE', lease, 0, 31) == token
end
local function finish(lease, channel, name)
  local length = redis.pcall('STRLEN', lease)
  local waited = type(length) == 'number' and length > 32
  local ended = redis.call('DEL', lease)
  if waited then redis.pcall('PUBLISH', channel, name) end
  return ended
end
`;

/** A Lua script that is sent by its digest once Redis has it. */
export class Script {
  readonly #source: string;
  #digest: string | undefined;

  constructor(source: string) {
    this.#source = source;
  }

  /** Runs the script on `keys`, all in one slot. */
  async run(redis: RedisCommands, keys: readonly [Word, ...Word[]], args: readonly Word[]): Promise<unknown> {
    this.#digest ??= await sha1(this.#source);
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await redis.send(keys[0], ['EVALSHA', this.#digest, ...rest]);
    } catch (error) {
      // A new node, a restart or SCRIPT FLUSH: sending the source once makes the script known there again.
      if (!String((error as Error | undefined)?.message).startsWith('NOSCRIPT')) throw error;
      return redis.send(keys[0], ['EVAL', this.#source, ...rest]);
    }
  }
}

/** entry · startedAt, value, until → 1 if stored, 0 if the entry there started later. */
export const SET_IF_NEWER: Script = new Script(`${STARTED_AT}${STORE}
local there = startedAt(KEYS[1])
if there and there > tonumber(ARGV[1]) then return 0 end
store(KEYS[1], ARGV[2], ARGV[3])
return 1`);

/** entry, lease, claim · value, until, channel, name. Loads and the holder of the lease can't store any more. */
export const SET_AND_VOID: Script = new Script(`${STORE}${LEASES}
finish(KEYS[2], ARGV[3], ARGV[4])
redis.call('UNLINK', KEYS[3])
store(KEYS[1], ARGV[1], ARGV[2])
return 1`);

/** entry, lease, claim · channel, name → number of entries removed. Loads and the holder of the lease can't store any more. */
export const DELETE_AND_VOID: Script = new Script(`${LEASES}
finish(KEYS[2], ARGV[1], ARGV[2])
redis.call('UNLINK', KEYS[3])
return redis.call('UNLINK', KEYS[1])`);

/**
 * entry, claim · id, ms, newerThan → `{version}`, or `{version, value}` if the entry is newer.
 *
 * The version is the content of the claim. A claim that is missing is planted with a new one; no two have the same.
 */
export const VERSION: Script = new Script(`${STARTED_AT}
local version = redis.pcall('GETEX', KEYS[2], 'PX', ARGV[2])
if type(version) ~= 'string' then
  local now = redis.call('TIME')
  version = string.format('%016.0f', now[1] * 1000000 + now[2]) .. ARGV[1]
  redis.call('SET', KEYS[2], version, 'PX', ARGV[2])
end
local there = startedAt(KEYS[1])
if there and there > tonumber(ARGV[3]) then return {version, redis.call('GET', KEYS[1])} end
return {version}`);

/**
 * entry, lease, claim · version, startedAt, value, until, '1' for a change or '', channel, name → 1 if stored, 0 if the
 * claim is another one or missing, or the entry there is newer.
 */
export const SET_IF_VERSION: Script = new Script(`${STARTED_AT}${STORE}${LEASES}
if redis.pcall('GET', KEYS[3]) ~= ARGV[1] then return 0 end
if ARGV[5] == '' then
  local there = startedAt(KEYS[1])
  if there and there > tonumber(ARGV[2]) then return 0 end
else
  finish(KEYS[2], ARGV[6], ARGV[7])
  redis.call('UNLINK', KEYS[3])
end
store(KEYS[1], ARGV[3], ARGV[4])
return 1`);

/**
 * entry, lease · id, ms, newerThan → `{'lease', token}`, `{'entry', value}` if that is newer, `{'held'}` or `{'open'}`.
 *
 * A token begins with the microseconds of Redis's clock: of two tokens, the greater one was given later.
 */
export const LEASE: Script = new Script(`${STARTED_AT}
local there = startedAt(KEYS[1])
if there and there > tonumber(ARGV[3]) then return {'entry', redis.call('GET', KEYS[1])} end
local now = redis.call('TIME')
local token = string.format('%016.0f', now[1] * 1000000 + now[2]) .. ARGV[1]
if redis.call('SET', KEYS[2], token, 'NX', 'PX', ARGV[2]) then return {'lease', token} end
if redis.call('STRLEN', KEYS[2]) == 32 then redis.call('APPEND', KEYS[2], '+') end
if redis.call('GET', KEYS[2]) == 'open' then return {'open'} end
return {'held'}`);

/** lease · token, ms → 1 if the lease goes on, 0 if it is lost. */
export const RENEW: Script = new Script(`${LEASES}
if not holds(KEYS[1], ARGV[1]) then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`);

/** entry, lease · token, startedAt, value, until, channel, name → 1 if stored, 0 if the lease is lost or the entry there is newer. */
export const STORE_LEASED: Script = new Script(`${STARTED_AT}${STORE}${LEASES}
if not holds(KEYS[2], ARGV[1]) then return 0 end
local there = startedAt(KEYS[1])
local newer = there and there > tonumber(ARGV[2])
if not newer then store(KEYS[1], ARGV[3], ARGV[4]) end
finish(KEYS[2], ARGV[5], ARGV[6])
return newer and 0 or 1`);

/** lease · token, channel, name, milliseconds for which all who ask are told that the load has ended, or ''. */
export const RELEASE: Script = new Script(`${LEASES}
if not holds(KEYS[1], ARGV[1]) then return 0 end
local waited = finish(KEYS[1], ARGV[2], ARGV[3])
if ARGV[4] ~= '' then redis.call('SET', KEYS[1], 'open', 'PX', ARGV[4]) end
return waited`);

/** The owner of a queue is kept as `until owner`, by Redis's clock, in milliseconds. It does not expire: time alone ends nothing. */
const OWNER = `
local function ownerOf(name)
  local there = redis.call('GET', name)
  if not there then return false, 0 end
  local space = string.find(there, ' ', 1, true)
  return string.sub(there, space + 1), tonumber(string.sub(there, 1, space - 1))
end
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function keep(name, owner, ms)
  redis.call('SET', name, string.format('%.0f', now() + ms) .. ' ' .. owner)
  return 1
end`;

/** owner · owner, ms, '1' to take it from another → 1 if it is the owner now, 0 if another one is. */
export const OWN_QUEUE: Script = new Script(`${OWNER}
local owner, ends = ownerOf(KEYS[1])
if owner and owner ~= ARGV[1] and ARGV[3] ~= '1' then
  local left = ends - now()
  if left > 0 and left <= 2 * ARGV[2] then return 0 end
end
return keep(KEYS[1], ARGV[1], ARGV[2])`);

/** owner · owner, ms → 1 if it still is the owner, 0 if another one is. */
export const RENEW_QUEUE: Script = new Script(`${OWNER}
if ownerOf(KEYS[1]) ~= ARGV[1] then return 0 end
return keep(KEYS[1], ARGV[1], ARGV[2])`);

/** owner · owner. */
export const LEAVE_QUEUE: Script = new Script(`${OWNER}
if ownerOf(KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`);

/** pending, dead, owner · owner or '', then id, 'pending' or 'dead', record, and so on → 0 if another one is the owner. */
export const KEEP_WRITES: Script = new Script(`${OWNER}
if ARGV[1] ~= '' and ownerOf(KEYS[3]) ~= ARGV[1] then return 0 end
for at = 2, #ARGV, 3 do
  local home, other = KEYS[1], KEYS[2]
  if ARGV[at + 1] == 'dead' then home, other = other, home end
  redis.call('HSET', home, ARGV[at], ARGV[at + 2])
  redis.call('HDEL', other, ARGV[at])
end
return 1`);

/** pending, dead, owner · owner or '', ids → 0 if another one is the owner. */
export const FORGET_WRITES: Script = new Script(`${OWNER}
if ARGV[1] ~= '' and ownerOf(KEYS[3]) ~= ARGV[1] then return 0 end
for at = 2, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[at])
  redis.call('HDEL', KEYS[2], ARGV[at])
end
return 1`);

async function sha1(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-1', new TextEncoder().encode(text)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
