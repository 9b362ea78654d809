-- Look how accounts stand, and take on the questions that are due. It stands behind `hold`.
--
-- KEYS  1 root of all names
-- ARGV  1 replica   2 ms for which it holds a question   3 ms between two questions to an account
--       4 the same while little or nothing is left, and after one that was not answered
--       then id and reserve of each account, the reserve in thousandths of an image
-- Answer  time in ms; then four for each account: 'ask' when this replica is to ask it, 'asked' while another
--         one does, else nothing; what was spent by whomever within the last hour, in thousandths of an image,
--         and in how many ms; its fields and their values, flat, as `polled` and `keys` name them
--
-- Names, behind `root`, beside those of `keys`:
--   poll@<account>   the replica that asks it now
--   used@<account>   sorted set of what was spent from the beginning, by whomever, at the polls of an hour:
--                    `<ms> <thousandths>` by ms
--
-- Invariants:
--   * One replica asks an account at a time, for as long as it holds the question.
--   * A second call of the replica that asks answers the same, and takes on nothing more.
local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end

local LOW_PART = 20  -- less than this part of the subscription is little

local root, replica = KEYS[1], ARGV[1]
local ms = math.floor(now() / 1000)

local function read(name)
  local flat = redis.call('HGETALL', name)
  local state = {}
  for i = 1, #flat, 2 do
    state[flat[i]] = tonumber(flat[i + 1])
  end
  return state, flat
end

local function is_due(state, reserve)
  if not state.asked or (state.exhausted and state.exhausted > state.asked) then
    return true
  end
  local headroom = (state.available or 0) - (state.since or 0) - (state.held or 0) - reserve
  local is_low = headroom * LOW_PART < (state.subscription or 0)
  local was_silent = (state.polled or 0) < state.asked
  local pause = (is_low or was_silent or state.exhausted) and ARGV[4] or ARGV[3]
  return ms >= state.asked + pause
end

-- Who asks the account: this replica too, if it takes that on now.
local function asker(account, name, state, reserve)
  local lease = root .. 'poll@' .. account
  local one = redis.call('GET', lease)
  if not one and is_due(state, reserve) then
    redis.call('SET', lease, replica, 'PX', ARGV[2])
    redis.call('HSET', name, 'asked', whole(ms))
    return replica
  end
  return one
end

local function used_lately(account, state)
  local first = redis.call('ZRANGE', root .. 'used@' .. account, 0, 0)[1]
  if not first then
    return 0, 0
  end
  local at, amount = string.match(first, '(%S+) (%S+)')
  return math.max(0, (state.spent or 0) + (state.external or 0) - amount), math.max(0, ms - at)
end

local answer = { ms }
local function tell(...)
  for _, word in ipairs({ ... }) do
    answer[#answer + 1] = word
  end
end

for i = 5, #ARGV, 2 do
  local account, name = ARGV[i], root .. 'account:' .. ARGV[i]
  local one = asker(account, name, read(name), ARGV[i + 1])
  local state, flat = read(name)
  local used, used_for = used_lately(account, state)
  tell(one == replica and 'ask' or one and 'asked' or '', used, used_for, flat)
end
return answer
