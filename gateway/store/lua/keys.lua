-- What the scripts of the ledger share about upstream keys. It stands behind `hold` and `health`; it is no script of its own.
--
-- A key is named by its fingerprint. Names, behind `root`, beside those of `health`; times are milliseconds:
--   calls:<key>, calls:@<account>  sorted sets: calls, by the time at which they leave the window of the rate
--   made                           hash: how many calls are in each of these, by `<key>` or `@<account>`
--   leaving                        sorted set: the same names, by the time at which their first call leaves
--   open                           hash: how many calls each key has under way
--   account:<account>              of its fields: `available` by the last poll; `since`: what that lacked of our
--                                  spending, and what was spent after it; `held` for open calls; all in thousandths
--                                  of an image
--   posts@<account>                sorted set of what was spent lately, `<images> <id>` by time
--
-- Invariants:
--   * In no window, and a fiftieth more, does a key or an account get more calls than its rate.
--   * No call goes to a key that is off, cooling, masked for it, or full, or whose account has no headroom.
--   * A choice reads the state of all keys at once: what it costs in commands does not rise with their number.

local MARGIN = 1.02  -- of a window: calls arrive later than they are admitted, some more than others

-- Lets go of the calls that have left their window.
local function let_leave(root, ms)
  for _, log in ipairs(redis.call('ZRANGEBYSCORE', root .. 'leaving', '-inf', whole(ms))) do
    local calls = root .. 'calls:' .. log
    redis.call('ZREMRANGEBYSCORE', calls, '-inf', whole(ms))
    local first = redis.call('ZRANGE', calls, 0, 0, 'WITHSCORES')
    if first[1] then
      redis.call('HSET', root .. 'made', log, redis.call('ZCARD', calls))
      redis.call('ZADD', root .. 'leaving', first[2], log)
    else
      redis.call('HDEL', root .. 'made', log)
      redis.call('ZREM', root .. 'leaving', log)
    end
  end
end

local function count_call(root, log, call_id, window, ms)
  local leaves = whole(ms + math.ceil(window * MARGIN))
  if redis.call('ZADD', root .. 'calls:' .. log, leaves, call_id) == 1 then
    redis.call('HINCRBY', root .. 'made', log, 1)
    redis.call('ZADD', root .. 'leaving', 'LT', leaves, log)
  end
end

-- Milliseconds until one more call fits under a rate of `most`; 0: one does now.
local function full_for(root, log, most, ms)
  local last = redis.call('ZRANGE', root .. 'calls:' .. log, -most, -most, 'WITHSCORES')
  return last[2] and tonumber(last[2]) - ms or 0
end

-- How many calls the account can take; nothing where nobody knows of any. And for how many ms it is left alone.
local function account_left(root, account, made, call, ms)
  local name, left = account.account, math.huge
  local state = redis.call('HMGET', root .. 'account:' .. name,
    'available', 'since', 'held', 'exhausted', cool_for(call.sandbox))
  if account.gated and not call.sandbox then
    local headroom = (state[1] or 0) - (state[2] or 0) - (state[3] or 0) - account.reserve
    left = account.price > 0 and math.floor(headroom / account.price) or math.huge
    if not state[1] or state[4] or left < 1 then
      return nil
    end
  end
  if account.calls > 0 then
    left = math.min(left, account.calls - (made['@' .. name] or 0))
  end
  return left, math.max(0, tonumber(state[5] or 0) - ms)
end

-- The ms until one of these keys can take a call, or -1.
local function first_return(root, shut, ms)
  local first = -1
  for _, one in ipairs(shut) do
    local key, account = one.key, one.account
    local wait = math.max(one.closed, full_for(root, key.key, key.calls, ms), one.places < 1 and AGAIN_MS or 0)
    if account.calls > 0 then
      wait = math.max(wait, full_for(root, '@' .. account.account, account.calls, ms))
    end
    first = first < 0 and wait or math.min(first, wait)
  end
  return first
end

local function accounts_serving(root, template)
  local serving = {}
  if template ~= '' then
    for _, account in ipairs(redis.call('SMEMBERS', root .. 'serves:' .. template)) do
      serving[account] = true
    end
  end
  return serving
end

-- Whether a key is better than the best so far: of an account known to serve the template, then by how many
-- calls it can take, then by how few it has under way.
local function is_better(best, serves, free, open)
  if not best or serves ~= best.serves then
    return not best or serves
  end
  return free > best.free or (free == best.free and open < best.open)
end

-- The best key that can take the call and was not tried, and its account. Without one: nothing, and the ms
-- until a key can take the next call, one that was tried too, or -1.
local function choose(root, accounts, call, ms)
  let_leave(root, ms)
  local made, under_way = pairs_of(redis.call('HGETALL', root .. 'made')), pairs_of(redis.call('HGETALL', root .. 'open'))
  local in_trouble, serving = troubles(root, ms), accounts_serving(root, call.template)
  local best, shut = nil, {}
  for _, account in ipairs(accounts) do
    local left, cool = account_left(root, account, made, call, ms)
    local serves = serving[account.account] or false
    for _, key in ipairs(left and account.keys or {}) do
      local name = key.key
      local open = tonumber(under_way[name] or 0)
      local places = key.places >= 0 and key.places - open or math.huge
      local free = math.min(left, key.calls - (made[name] or 0), places)
      local closed = closed_for(in_trouble[name], call, ms)
      if closed and (closed > 0 or cool > 0 or free < 1) then
        shut[#shut + 1] = { key = key, account = account, closed = math.max(closed, cool), places = places }
      elseif closed and not call.tried[name] and is_better(best, serves, free, open) then
        best = { key = key, account = account, serves = serves, free = free, open = open }
      end
    end
  end
  if best then
    return best.key, best.account
  end
  return nil, first_return(root, shut, ms)
end

-- Takes a place of the key, and holds its price, for an open hold.
local function hold_key(root, hold)
  count_open(root, hold.key, 1)
  if hold.images > 0 then
    redis.call('HINCRBY', root .. 'account:' .. hold.account, 'held', hold.images)
  end
end

-- The key of an attempt that was not charged is given back, and its price with it.
local function free_key(root, hold)
  count_open(root, hold.key, -1)
  if hold.images > 0 then
    redis.call('HINCRBY', root .. 'account:' .. hold.account, 'held', -hold.images)
  end
  hold.key, hold.account, hold.images = '-', '-', 0
end

-- A hold that is not open yet takes its place when it is written.
local function take_key(root, id, hold, key, account, call, ms)
  hold.key, hold.account, hold.images = key.key, account.account, call.sandbox and 0 or account.price
  if is_open(hold.state) then
    hold_key(root, hold)
  end
  if call.probes then
    redis.call('SET', root .. 'probe:' .. call.operation, id, 'PX', RESOLVED_MS)
  end
  local call_id = id .. ':' .. hold.attempt
  count_call(root, key.key, call_id, key.window, ms)
  if account.calls > 0 then
    count_call(root, '@' .. account.account, call_id, account.window, ms)
  end
end

