-- What the scripts of the ledger share about what calls have shown. It stands behind `hold`; it is no script of its own.
--
-- Names, behind `root`; times are milliseconds:
--   key:<key>            hash: `off`, why the key is not used; `cool`, `cool:sandbox`, up to when it is left alone;
--                        `mask:<operation>`, the same for one operation
--   troubled             set of the keys that have such a hash
--   account:<account>    of its fields: `exhausted`, since when; `cool`; `throttled`, `throttled_at`: the key that met
--                        its 429 last, and when; the last three once more with `:sandbox`
--   serves:<template>    set of the accounts that have served it
--   fails:<operation>    sorted set of the digests that drew a 5xx since the last success, by time
--   probe:<operation>    id of the one call that finds out whether the endpoint is back, if it is open
--   bad:<digest>         hash: how many `times` it drew a 5xx, none a minute after another, and when it did last, `at`
--
-- Invariants:
--   * While an endpoint is taken for down, one call at a time goes there.
--   * A verdict says something of its own key or account, of keys that it names, or of the endpoint, and no more.

local MASK_MS = 3600000  -- a key that was forbidden what another key serves is not asked for it for so long
local TOGETHER_MS = 1000  -- two keys throttled within so long: it is their account
local FAILS = 3  -- so many digests in trouble take an endpoint down
local FAILS_MS = 60000  -- within so long; a digest that draws two of them is refused for so long too
local PROBE_MS = 5000  -- so long after the last trouble, one call finds out
local AGAIN_MS = 250  -- when to look again for the end of a call, of which nobody knows when it comes
local TEMPLATE_MS = 30 * 86400000

local function pairs_of(flat)
  local found = {}
  for i = 1, #flat, 2 do
    found[flat[i]] = flat[i + 1]
  end
  return found
end

-- The field that says up to when a key or an account is left alone: a sandbox has a quota of its own.
local function cool_for(sandbox)
  return sandbox and 'cool:sandbox' or 'cool'
end

local function lasts(state, ms)
  for field, value in pairs(state) do
    if field == 'off' or tonumber(value) > ms then
      return true
    end
  end
  return false
end

-- What keeps keys from use, by key. One that nothing keeps any more is troubled no longer.
local function troubles(root, ms)
  local found = {}
  for _, key in ipairs(redis.call('SMEMBERS', root .. 'troubled')) do
    local state = pairs_of(redis.call('HGETALL', root .. 'key:' .. key))
    if lasts(state, ms) then
      found[key] = state
    else
      redis.call('DEL', root .. 'key:' .. key)
      redis.call('SREM', root .. 'troubled', key)
    end
  end
  return found
end

-- Milliseconds for which a key in that trouble is left alone; nothing where nobody knows for how long.
local function closed_for(trouble, call, ms)
  if not trouble then
    return 0
  elseif trouble.off then
    return nil
  end
  local cool, mask = trouble[cool_for(call.sandbox)], trouble['mask:' .. call.operation]
  return math.max(0, tonumber(cool or 0) - ms, tonumber(mask or 0) - ms)
end

-- How often the digest drew a 5xx, and in how many ms that is forgotten.
local function drawn(root, digest, ms)
  local bad = redis.call('HMGET', root .. 'bad:' .. digest, 'times', 'at')
  local left = tonumber(bad[2] or 0) + FAILS_MS - ms
  return left > 0 and tonumber(bad[1]) or 0, left
end

local function is_under_way(root, id)
  local hold = hold_read(root, id)
  return hold and is_open(hold.state)
end

-- Milliseconds for which the endpoint is not asked, and the digest by no new purchase; 0: they are. A call
-- that is to find out whether the endpoint is back has `probes` set.
local function trouble_ahead(root, id, call, ms)
  local times, left = drawn(root, call.digest, ms)
  local wait = times >= 2 and not call.goes_on and left or 0
  local fails = root .. 'fails:' .. call.operation
  if redis.call('ZCOUNT', fails, '(' .. whole(ms - FAILS_MS), '+inf') < FAILS then
    return wait
  end
  local last = redis.call('ZRANGE', fails, -1, -1, 'WITHSCORES')
  wait = math.max(wait, tonumber(last[2]) + PROBE_MS - ms)
  local probe = redis.call('GET', root .. 'probe:' .. call.operation)
  if wait == 0 and probe and probe ~= id and is_under_way(root, probe) then
    return AGAIN_MS
  end
  call.probes = true
  return wait
end

local function endpoint_failed(root, hold, digest, ms)
  local fails, bad = root .. 'fails:' .. hold.operation, root .. 'bad:' .. digest
  redis.call('ZREMRANGEBYSCORE', fails, '-inf', whole(ms - FAILS_MS))
  redis.call('ZADD', fails, whole(ms), digest)
  redis.call('PEXPIRE', fails, FAILS_MS)
  redis.call('HSET', bad, 'times', drawn(root, digest, ms) + 1, 'at', whole(ms))
  redis.call('PEXPIRE', bad, FAILS_MS)
end

-- Leaves a key or an account alone, no shorter than it was to be left.
local function leave_alone(name, field, till)
  if till > tonumber(redis.call('HGET', name, field) or 0) then
    redis.call('HSET', name, field, whole(till))
  end
end

local function leave_key(root, key, field, till)
  redis.call('SADD', root .. 'troubled', key)
  leave_alone(root .. 'key:' .. key, field, till)
end

local function throttled(root, hold, sandbox, wait, ms)
  local account, quota = root .. 'account:' .. hold.account, sandbox and ':sandbox' or ''
  local last = redis.call('HMGET', account, 'throttled' .. quota, 'throttled_at' .. quota)
  if last[1] and last[1] ~= hold.key and ms - tonumber(last[2]) <= TOGETHER_MS then
    leave_alone(account, cool_for(sandbox), ms + wait)
  end
  redis.call('HSET', account, 'throttled' .. quota, hold.key, 'throttled_at' .. quota, whole(ms))
  leave_key(root, hold.key, cool_for(sandbox), ms + wait)
end

local function served(root, hold, seen, ms)
  for _, other in ipairs(seen.masks) do
    leave_key(root, other, 'mask:' .. hold.operation, ms + MASK_MS)
  end
  redis.call('DEL', root .. 'fails:' .. hold.operation, root .. 'probe:' .. hold.operation)
  if seen.template ~= '' then
    redis.call('SADD', root .. 'serves:' .. seen.template, hold.account)
    redis.call('PEXPIRE', root .. 'serves:' .. seen.template, TEMPLATE_MS)
  end
end

-- What an attempt has shown of its key, its account and the endpoint.
local function judge(root, hold, seen, ms)
  if seen.verdict == 'served' then
    served(root, hold, seen, ms)
  elseif seen.verdict == 'rejected' or seen.verdict == 'forbidden' then
    redis.call('SADD', root .. 'troubled', hold.key)
    redis.call('HSETNX', root .. 'key:' .. hold.key, 'off', seen.verdict)  -- a drain stays one
  elseif seen.verdict == 'exhausted' and not seen.sandbox then
    redis.call('HSET', root .. 'account:' .. hold.account, 'exhausted', whole(ms))
  elseif seen.verdict == 'throttled' then
    throttled(root, hold, seen.sandbox, seen.wait, ms)
  elseif seen.verdict == 'refused' then
    redis.call('HSET', root .. 'bad:' .. seen.digest, 'times', 2, 'at', whole(ms))
    redis.call('PEXPIRE', root .. 'bad:' .. seen.digest, FAILS_MS)
  elseif seen.verdict == 'failed' then
    endpoint_failed(root, hold, seen.digest, ms)
  end
end

