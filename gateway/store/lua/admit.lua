-- Decide whether a paid call may go, and with which key: the tenant's edit rate, place and credits, the
-- key's and its account's rate, places, health and headroom, all or nothing.
--
-- KEYS  1 root of all names
-- ARGV  1 replica   2 id of the hold   3 tenant   4 operation   5 cost
--       6 microseconds a token of the edit rate; 0: no rate   7 burst
--       8 calls under way at most; -1: any number   9 budget; -1: none
--       10 ms after which a hold that was not sent lapses; 11 ms for which a sent one is waited for
--       12 number of the attempt; above 1 the hold goes on with another key
--       13 the keys that may serve, JSON: a list of {account, price, gated, reserve, calls, window, keys}, and
--          `keys` is one of {key, calls, window, places}; calls 0, places -1: any number. Empty: it needs none
--       14 what else is to be known of the call, JSON: {sandbox, digest, template, tried: {key: true}}
--       15 what the attempt before has shown, JSON as `judge` has it; empty: nothing
--       then start and end of each period that may be now
--       last: the replica's count as it knows it
-- Answer  generation, the replica's count, time in us, then a word and what goes with it:
--         'granted', key and account (`-`: none), its price there, start and end of the period, spent, held,
--         time in us at which the bucket is full
--         'no key', ms until one may serve, or -1
--         'trouble', ms for which the endpoint, or this edit, is not asked
--         'refused', the limit, ms to wait, start and end of the period, spent, held, that time in us
--         'over': the hold was resolved before      'closed', ms until these books admit
--         'lost': there are no books, Redis was emptied     'no period': no period that was named is now
--
-- Invariants:
--   * Spent, what is held included, never rises above the budget by an admission.
--   * In any time t no more than burst + t / interval holds are granted.
--   * No more than the bound of holds are open at once.
--   * A second call with the id of an open hold is granted too, and takes nothing.
local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end

local known = tonumber(table.remove(ARGV))
local root, id = KEYS[1], ARGV[2]
local interval, burst, places, budget = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local us = now()
local ms = math.floor(us / 1000)
local gen, seq, open_at = turn(root, ARGV[1], known)
local bucket = root .. 'bucket:' .. ARGV[3]

local function answer(...)
  return { gen, seq, us, ... }
end

local function this_period()
  for i = 16, #ARGV, 2 do
    if tonumber(ARGV[i]) <= ms and ms < tonumber(ARGV[i + 1]) then
      return ARGV[i], ARGV[i + 1]
    end
  end
end

local function granted(hold, full_at, settled, held)
  return answer('granted', hold.key, hold.account, hold.images,
    tonumber(hold.start), tonumber(hold.stop), settled, held, full_at)
end

-- Gives the key of an earlier attempt, which was not charged, back. A second call finds none to give.
local function let_go(hold)
  if hold.key == '-' then
    return
  end
  if ARGV[15] ~= '' then
    judge(root, hold, cjson.decode(ARGV[15]), ms)
  end
  free_key(root, hold)
  hold_move(root, id, hold, hold.state, hold.state, hold.due, ms)
end

-- The limit that refuses, and for how many ms; and the bucket as it would be with one token less.
local function refusal(hold, full_at, already)
  local after = math.max(full_at, us) + interval
  if budget >= 0 and hold.cost > 0 and already + hold.cost > budget then
    return 'monthly_images', hold.stop - ms, after
  elseif interval > 0 and after - us > burst * interval then
    return 'edits', math.ceil((after - us - burst * interval) / 1000), after
  elseif places >= 0 and redis.call('ZCARD', root .. 'slots:' .. hold.tenant) >= places then
    return 'max_in_flight', 0, after
  end
  return nil, 0, after
end

if gen == '' then
  return answer('lost')
elseif ms < open_at then
  return answer('closed', open_at - ms)
end
sweep(root, ms, 16)
local full_at = tonumber(interval > 0 and redis.call('GET', bucket) or 0)
if full_at > us + burst * interval then
  -- A bucket is never emptier than empty: this one is of a slower rate, and ends here.
  full_at = us + burst * interval
  redis.call('SET', bucket, whole(full_at), 'KEEPTTL')
end
local attempt, life = tonumber(ARGV[12]), tonumber(ARGV[11])

-- The key that may serve and its account, else the word that says why none does, and the ms to wait.
local function find_key(call)
  local trouble = trouble_ahead(root, id, call, ms)
  local key, found = choose(root, cjson.decode(ARGV[13]), call, ms)
  if trouble > 0 then
    return nil, 'trouble', math.max(trouble, key and 0 or found)
  elseif key then
    return key, found
  end
  return nil, 'no key', found
end

local hold = hold_read(root, id)
local again = hold and is_open(hold.state)
if not again then
  local start, stop = this_period()
  if hold and hold.state ~= 'lapsed' then
    return answer('over')
  elseif not start then
    return answer('no period')
  end
  hold = {
    tenant = ARGV[3], operation = ARGV[4], cost = tonumber(ARGV[5]), start = start, stop = stop,
    key = '-', account = '-', images = 0,
  }
end
local settled, held = spent(root, hold)
local after
if not again then
  local limit, wait
  limit, wait, after = refusal(hold, full_at, settled + held)
  if limit then
    return answer('refused', limit, wait, tonumber(hold.start), tonumber(hold.stop), settled, held, full_at)
  end
elseif hold.attempt >= attempt then
  return granted(hold, full_at, settled, held)
else
  let_go(hold)
end
hold.attempt = attempt
if ARGV[13] ~= '' then
  local call = cjson.decode(ARGV[14])
  call.operation, call.goes_on = ARGV[4], again
  local key, found, wait = find_key(call)
  if not key then
    return answer(found, wait)
  end
  take_key(root, id, hold, key, found, call, ms)
end
if again then
  hold_move(root, id, hold, hold.state, hold.state, ms + life, ms)
  return granted(hold, full_at, settled, held)
end
if interval > 0 then
  full_at = after
  redis.call('SET', bucket, whole(after), 'PX', math.ceil((after - us) / 1000) + 1000)
end
hold_move(root, id, hold, nil, 'held', ms + tonumber(ARGV[10]), ms)
return granted(hold, full_at, settled, held + hold.cost)
