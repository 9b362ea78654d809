-- Take in an account's word: how many images it has left. It stands behind `hold`.
--
-- KEYS  1 root of all names
-- ARGV  1 replica   2 account   3 time of the question, ms: `asked` as `poll` has answered it
--       4 ms after which an account knows of a call at the latest
--       5 what it says to have left; empty: it did not answer   6 its subscription   7 its plan
--       8 price of its cheapest call   9 its reserve   10 what the replica knows that books which were lost had
--       spent, and the word may lack; amounts are thousandths of an image
-- Answer  'period', 'top_up' or nothing; and what was booked: above zero as spent by others, below as not spent
--
-- Fields of the account, beside those that `keys` names; `domain/accounts.py` explains the arithmetic:
--   available, subscription, plan    its last word
--   polled, asked                    when it was asked for that, and when it was asked last
--   since                            what that word lacked of our spending, and what was spent after it
--   drift                            by how much it contradicted our books
--   external, returned               spent by others; presumed to be spent, and not spent
--   spent                            what our calls have spent from the beginning
--   booked                           what its last word has booked
--   refill, refilled                 what last raised its word, and when
--   let_back                         when it was last let back after a 402
--
-- Invariants:
--   * The word for a question counts once, and not after the word for a later one.
--   * While nobody else spends, and no call was presumed, `available - since` is what the account has left,
--     open calls aside, for any lag up to that of ARGV[4].
--   * No more is booked as spent by others than they have spent.

local HOUR_MS = 3600000
local REFILL_PERCENT = 10  -- of the subscription: a refill raises the word by more
local FULL_PERCENT = 95  -- of the subscription: a new period begins with as much, and with no more than all

local root, account = KEYS[1], ARGV[2]
local name, posts, used = root .. 'account:' .. account, root .. 'posts@' .. account, root .. 'used@' .. account
local asked, lag = tonumber(ARGV[3]), tonumber(ARGV[4])
local said, subscription = tonumber(ARGV[5]), tonumber(ARGV[6])

local before = {}
local flat = redis.call('HGETALL', name)
for i = 1, #flat, 2 do
  before[flat[i]] = tonumber(flat[i + 1]) or flat[i + 1]
end

local function amount(field)
  return before[field] or 0
end

-- What was spent so lately that the word may lack it.
local function recent()
  local sum = 0
  for _, post in ipairs(redis.call('ZRANGE', posts, 0, -1)) do
    sum = sum + string.match(post, '%S+')
  end
  return sum
end

local function refill()
  if subscription ~= before.subscription then
    return 'period'
  end
  local rise = said - before.available
  if rise <= 0 or rise * 100 <= subscription * REFILL_PERCENT then
    return ''
  end
  local is_full = subscription * FULL_PERCENT <= said * 100 and said <= subscription
  return is_full and 'period' or 'top_up'
end

local function agreed(one, other)
  if one > 0 and other > 0 then
    return math.min(one, other)
  end
  return one < 0 and other < 0 and math.max(one, other) or 0
end

-- The new `since` and `drift`, the refill, and what is booked.
local function reconcile(lately, held)
  if not before.available then
    return lately + ARGV[10], 0, '', 0
  end
  local filled = refill()
  if filled ~= '' then
    return math.max(0 - held, math.min(amount('since'), lately)), 0, filled, 0
  end
  local left = before.available - amount('since') + math.max(amount('drift'), 0)
  local gap = math.max(left - (said + held), 0) + math.min(left - (said - lately), 0)
  local booked = agreed(gap, amount('drift'))
  return said - math.min(left - booked, said + held), gap - booked, '', booked
end

-- Whether an account that has answered 402 shows images again, and is to be believed.
local function is_let_back(since)
  if not before.exhausted or asked <= before.exhausted then
    return false
  elseif said - since - amount('held') - ARGV[9] < tonumber(ARGV[8]) then
    return false
  end
  local shows_more = before.available and said > before.available
  local was_believed = before.let_back and asked - before.let_back < lag
  return shows_more or not was_believed or asked - before.exhausted >= lag
end

if redis.call('GET', root .. 'poll@' .. account) == ARGV[1] then
  redis.call('DEL', root .. 'poll@' .. account)
end
redis.call('ZREMRANGEBYSCORE', posts, '-inf', whole(asked - lag))
if not said or amount('polled') > asked then
  return { '', 0 }
elseif before.polled == asked then
  return { before.refilled == asked and before.refill or '', before.booked }
end

local since, drift, filled, booked = reconcile(recent(), amount('held'))
local external = amount('external') + math.max(booked, 0)
redis.call('HSET', name,
  'polled', whole(asked), 'available', whole(said), 'subscription', whole(subscription), 'plan', ARGV[7],
  'since', whole(since), 'drift', whole(drift), 'booked', whole(booked),
  'external', whole(external), 'returned', whole(amount('returned') - math.min(booked, 0)))
if filled ~= '' then
  redis.call('HSET', name, 'refill', filled, 'refilled', whole(asked))
end
if is_let_back(since) then
  redis.call('HDEL', name, 'exhausted')
  redis.call('HSET', name, 'let_back', whole(asked))
end
redis.call('ZREMRANGEBYSCORE', used, '-inf', whole(asked - HOUR_MS))
redis.call('ZADD', used, whole(asked), whole(asked) .. ' ' .. whole(amount('spent') + external))
redis.call('PEXPIRE', used, HOUR_MS)
return { filled, booked }
