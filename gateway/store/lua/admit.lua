-- Decide whether a paid call may go: edit rate, place and credits, all or nothing.
--
-- KEYS  1 root of all names
-- ARGV  1 replica   2 id of the hold   3 tenant   4 operation   5 cost
--       6 microseconds a token of the edit rate; 0: no rate   7 burst
--       8 calls under way at most; -1: any number   9 budget; -1: none
--       10 ms after which a hold that was not sent lapses; then start and end of each period that may be now
-- Answer  generation, the replica's count, time in us, then a word and what goes with it:
--         'granted', start and end of the period, spent, held, time in us at which the bucket is full
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

local root, id = KEYS[1], ARGV[2]
local interval, burst, places, budget = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local us = now()
local ms = math.floor(us / 1000)
local gen, seq, open_at = turn(root, ARGV[1])
local bucket = root .. 'bucket:' .. ARGV[3]

local function answer(...)
  return { gen, seq, us, ... }
end

local function this_period()
  for i = 11, #ARGV, 2 do
    if tonumber(ARGV[i]) <= ms and ms < tonumber(ARGV[i + 1]) then
      return ARGV[i], ARGV[i + 1]
    end
  end
end

local function standing(hold, full_at)
  local settled, held = spent(root, hold)
  return tonumber(hold.start), tonumber(hold.stop), settled, held, full_at
end

-- The limit that refuses, and for how many ms; and the bucket as it would be with one token less.
local function refusal(hold, full_at)
  local settled, held = spent(root, hold)
  local after = math.max(full_at, us) + interval
  if budget >= 0 and hold.cost > 0 and settled + held + hold.cost > budget then
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
-- A bucket is never emptier than empty, though one of a slower rate may have been full later.
local full_at = tonumber(interval > 0 and redis.call('GET', bucket) or 0)
full_at = math.min(full_at, us + burst * interval)
local known = hold_read(root, id)
if known and known.state ~= 'lapsed' then
  if is_open(known.state) then
    return answer('granted', standing(known, full_at))
  end
  return answer('over')
end
local start, stop = this_period()
if not start then
  return answer('no period')
end
local hold = { tenant = ARGV[3], operation = ARGV[4], cost = tonumber(ARGV[5]), start = start, stop = stop }
local limit, wait, after = refusal(hold, full_at)
if limit then
  return answer('refused', limit, wait, standing(hold, full_at))
end
if interval > 0 then
  full_at = after
  redis.call('SET', bucket, whole(after), 'PX', math.ceil((after - us) / 1000) + 1000)
end
hold_move(root, id, hold, nil, 'held', ms + tonumber(ARGV[10]), ms)
return answer('granted', standing(hold, full_at))
