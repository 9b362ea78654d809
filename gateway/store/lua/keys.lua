-- What the scripts of the ledger share about upstream keys. It stands behind `hold`; it is no script of its own.
--
-- A key is named by its fingerprint. Names, behind `root`; times are milliseconds:
--   calls:<key>, calls@<account>   sorted sets: the calls of the last window, by the time of their admission
--   slots@<key>                    sorted set: its open calls, by the time up to which they are waited for
--   key:<key>                      hash: `off`, why it is not used; `cool`, `cool:sandbox`, up to when it is left
--                                  alone; `mask:<operation>`, the same for one operation
--   account:<account>              hash: `available` by the last poll, `since`: spent since that poll's lag
--                                  began, `held` for open calls, all in thousandths of an image; `exhausted`;
--                                  `cool`; `throttled`, `throttled_at`: the key that met its 429 last, and when;
--                                  the last three once more with `:sandbox`
--   posts@<account>                sorted set of what was spent lately, `<images> <id>` by time
--   serves:<template>              set of the accounts that have served it
--   fails:<operation>              sorted set of the digests that drew a 5xx since the last success, by time
--   probe:<operation>              id of the one call that finds out whether the endpoint is back, if it is open
--   bad:<digest>                   hash: how many `times` it drew a 5xx, none a minute after another, and when
--                                  it did last, `at`
--
-- Invariants:
--   * In no window, and a fiftieth more, does a key or an account get more calls than its rate.
--   * No call goes to a key that is off, cooling, masked for it, or full, or whose account has no headroom.
--   * While an endpoint is taken for down, one call at a time goes there.

local MASK_MS = 3600000  -- a key that was forbidden what another key serves is not asked for it for so long
local TOGETHER_MS = 1000  -- two keys throttled within so long: it is their account
local FAILS = 3  -- so many digests in trouble take an endpoint down
local FAILS_MS = 60000  -- within so long; a digest that draws two of them is refused for so long too
local PROBE_MS = 5000  -- so long after the last trouble, one call finds out
local PLACE_MS = 250  -- when to look again for a place among the open calls of a key
local TEMPLATE_MS = 30 * 86400000
local MARGIN = 1.02  -- of a window: calls arrive later than they are admitted, some more than others

-- Milliseconds until one more call fits under a rate of `most` in `window`, and how many fit now.
local function room(log, most, window, ms)
  local since = ms - math.ceil(window * MARGIN)
  local made = redis.call('ZCOUNT', log, '(' .. whole(since), '+inf')
  if made < most then
    return 0, most - made
  end
  local oldest = redis.call('ZRANGE', log, -most, -most, 'WITHSCORES')
  return math.max(1, tonumber(oldest[2]) - since), 0
end

-- The field that says up to when a key or an account is left alone: a sandbox has a quota of its own.
local function cool_for(sandbox)
  return sandbox and 'cool:sandbox' or 'cool'
end

-- How many calls the account can take now: `left`; in how many ms it may be asked: `wait`; whether nobody
-- knows when: `is_out`.
local function account_of(root, one, sandbox, ms)
  local state = redis.call('HMGET', root .. 'account:' .. one.account,
    'available', 'since', 'held', 'exhausted', cool_for(sandbox))
  local account = { left = math.huge, wait = tonumber(state[5] or 0) - ms }
  if one.gated and not sandbox then
    local headroom = (state[1] or 0) - (state[2] or 0) - (state[3] or 0) - one.reserve
    account.left = one.price > 0 and math.floor(headroom / one.price) or math.huge
    account.is_out = not state[1] or state[4] or account.left < 1
  end
  if one.account_calls > 0 then
    local wait, fits = room(root .. 'calls@' .. one.account, one.account_calls, one.account_window, ms)
    account.wait, account.left = math.max(account.wait, wait), math.min(account.left, fits)
  end
  return account
end

-- How many calls the key can take now, and how many it has open; else nothing, and the ms until it can take
-- one, where they are known.
local function free_calls(root, one, account, call, ms)
  local state = redis.call('HMGET', root .. 'key:' .. one.key, 'off', cool_for(call.sandbox), 'mask:' .. call.operation)
  if state[1] or account.is_out then
    return nil
  end
  local full_for, fits = room(root .. 'calls:' .. one.key, one.calls, one.window, ms)
  local wait = math.max(account.wait, full_for, tonumber(state[2] or 0) - ms, tonumber(state[3] or 0) - ms)
  local open = redis.call('ZCOUNT', root .. 'slots@' .. one.key, '(' .. whole(ms), '+inf')
  local places = one.places >= 0 and one.places - open or math.huge
  if places < 1 then
    wait = math.max(wait, PLACE_MS)
  end
  if wait > 0 then
    return nil, wait
  end
  return math.min(fits, account.left, places), open
end

-- The key that can take most calls, the least loaded one of several, and of accounts that are known to
-- serve the template before others; none that was tried. Without one: nothing, and the ms until one can take
-- the next call, one that was tried too, or -1.
local function choose(root, candidates, call, ms)
  local accounts, best, first = {}, nil, -1
  local serves = {}
  if call.template ~= '' then
    for _, account in ipairs(redis.call('SMEMBERS', root .. 'serves:' .. call.template)) do
      serves[account] = true
    end
  end
  for _, one in ipairs(candidates) do
    accounts[one.account] = accounts[one.account] or account_of(root, one, call.sandbox, ms)
    local free, more = free_calls(root, one, accounts[one.account], call, ms)
    if free and not call.tried[one.key] then
      local mine = { one = one, serves = serves[one.account] and 1 or 0, free = free, open = more }
      if not best or mine.serves > best.serves or (mine.serves == best.serves and
          (mine.free > best.free or (mine.free == best.free and mine.open < best.open))) then
        best = mine
      end
    elseif not free and more and (first < 0 or more < first) then
      first = more
    end
  end
  return best and best.one, first
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
    return PLACE_MS
  end
  call.probes = true
  return wait
end

local function count_call(log, call_id, window, ms)
  redis.call('ZADD', log, ms, call_id)
  redis.call('ZREMRANGEBYSCORE', log, '-inf', whole(ms - 2 * window))
  redis.call('PEXPIRE', log, whole(2 * window))
end

local function take_key(root, id, hold, one, call, ms)
  hold.key, hold.account, hold.images = one.key, one.account, call.sandbox and 0 or one.price
  if is_open(hold.state) and hold.images > 0 then
    redis.call('HINCRBY', root .. 'account:' .. hold.account, 'held', hold.images)
  end
  if call.probes then
    redis.call('SET', root .. 'probe:' .. call.operation, id, 'PX', RESOLVED_MS)
  end
  local call_id = id .. ':' .. hold.attempt
  count_call(root .. 'calls:' .. one.key, call_id, one.window, ms)
  if one.account_calls > 0 then
    count_call(root .. 'calls@' .. one.account, call_id, one.account_window, ms)
  end
end

-- The key of an attempt that was not charged is given back, and its price with it.
local function free_key(root, id, hold)
  redis.call('ZREM', root .. 'slots@' .. hold.key, id)
  if hold.images > 0 then
    redis.call('HINCRBY', root .. 'account:' .. hold.account, 'held', -hold.images)
  end
  hold.key, hold.account, hold.images = '-', '-', 0
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
local function let_cool(name, sandbox, till)
  local field = cool_for(sandbox)
  if till > tonumber(redis.call('HGET', name, field) or 0) then
    redis.call('HSET', name, field, whole(till))
  end
end

local function throttled(root, hold, sandbox, wait, ms)
  local account, quota = root .. 'account:' .. hold.account, sandbox and ':sandbox' or ''
  local last = redis.call('HMGET', account, 'throttled' .. quota, 'throttled_at' .. quota)
  if last[1] and last[1] ~= hold.key and ms - tonumber(last[2]) <= TOGETHER_MS then
    let_cool(account, sandbox, ms + wait)
  end
  redis.call('HSET', account, 'throttled' .. quota, hold.key, 'throttled_at' .. quota, whole(ms))
  let_cool(root .. 'key:' .. hold.key, sandbox, ms + wait)
end

-- What an attempt has shown of its key, its account and the endpoint.
local function judge(root, hold, seen, ms)
  local key = root .. 'key:' .. hold.key
  if seen.verdict == 'served' then
    for _, other in ipairs(seen.masks) do
      redis.call('HSET', root .. 'key:' .. other, 'mask:' .. hold.operation, whole(ms + MASK_MS))
    end
    redis.call('DEL', root .. 'fails:' .. hold.operation, root .. 'probe:' .. hold.operation)
    if seen.template ~= '' then
      redis.call('SADD', root .. 'serves:' .. seen.template, hold.account)
      redis.call('PEXPIRE', root .. 'serves:' .. seen.template, TEMPLATE_MS)
    end
  elseif seen.verdict == 'rejected' or seen.verdict == 'forbidden' then
    redis.call('HSETNX', key, 'off', seen.verdict)  -- a drain stays one
  elseif seen.verdict == 'masked' then
    redis.call('HSET', key, 'mask:' .. hold.operation, whole(ms + MASK_MS))
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

