-- What the scripts of the ledger share. It stands before each of them; it is no script of its own.
--
-- All names begin with `root`, and so lie in one slot:
--   gen                       hash: `id` of this generation of the books, and `open_at`, the time in ms from
--                             which it admits. Whoever finds none knows that Redis was emptied
--   seq:<replica>             how many of the replica's calls the books have taken in
--   hold:<id>                 a hold: state, tenant, operation, cost, start and end of its period, time up to
--                             which it is waited for, number of the attempt, its key, account and price in
--                             images (`-` without a key); in a line, apart by spaces. Kept an hour
--                             once it has lapsed, is posted or voided
--   holds                     sorted set of the open holds by that time
--   slots:<tenant>            the same for one tenant: its calls under way
--   bucket:<tenant>           its edit rate: the time in microseconds at which the bucket is full again
--   budget:<tenant>:<period>  hash, thousandths of a credit: `base`, spent in earlier generations; `posted`,
--                             `presumed`; `held` for open holds
--   journal                   stream of what happened to holds
--
-- States of a hold: held -> sent -> posted | voided | presumed; presumed -> posted | voided.
-- One that nobody waited for to the end is swept: a held one has `lapsed`, a sent one is presumed.
--
-- Invariants:
--   * `held` of a budget is the cost of its open holds; `posted` and `presumed` that of holds in these states.
--   * A hold that is posted or voided stays so; what is told twice changes nothing the second time.
--   * An outcome that comes after the sweep counts.

local RESOLVED_MS = 3600000  -- for so long a resolved hold is known
local BUDGET_MS = 62 * 86400000  -- for so long after its end a period is known
local JOURNAL = 100000  -- entries of the journal

local ACCOUNT = { held = 'held', sent = 'held', posted = 'posted', presumed = 'presumed' }
local RANK = { lapsed = 0, held = 1, sent = 2, presumed = 3, posted = 4, voided = 4 }

local function is_open(state)
  return state == 'held' or state == 'sent'
end

local function whole(number)
  return string.format('%.0f', number)
end

local function hold_read(root, id)
  local line = redis.call('GET', root .. 'hold:' .. id)
  if not line then
    return nil
  end
  local words = {}
  for word in string.gmatch(line, '%S+') do
    words[#words + 1] = word
  end
  return {
    state = words[1], tenant = words[2], operation = words[3], cost = tonumber(words[4]),
    start = words[5], stop = words[6], due = tonumber(words[7]), attempt = tonumber(words[8]),
    key = words[9], account = words[10], images = tonumber(words[11]),
  }
end

local function budget_of(root, hold)
  return root .. 'budget:' .. hold.tenant .. ':' .. hold.start
end

-- What a budget has spent, and what is held of it.
local function spent(root, hold)
  local parts = redis.call('HMGET', budget_of(root, hold), 'base', 'posted', 'presumed', 'held')
  return (parts[1] or 0) + (parts[2] or 0) + (parts[3] or 0), tonumber(parts[4] or 0)
end

-- Raises what was spent in earlier generations; it never sinks.
local function raise_base(root, hold, base)
  local budget = budget_of(root, hold)
  if base > tonumber(redis.call('HGET', budget, 'base') or 0) then
    redis.call('HSET', budget, 'base', whole(base))
    redis.call('PEXPIREAT', budget, whole(hold.stop + BUDGET_MS))
  end
end

local function note(root, id, hold)
  redis.call('XADD', root .. 'journal', 'MAXLEN', '~', JOURNAL, '*', 'e', hold.state, 'id', id,
    't', hold.tenant, 'o', hold.operation, 'c', hold.cost, 'p', hold.start,
    'k', hold.key, 'a', hold.account)
end

-- The same for the account that serves the hold: its price is held, and then spent since the last poll.
-- `spent` counts on for ever; `posts@` has what a poll may not know of yet (`polled.lua`).
local IMAGES = { held = 'held', sent = 'held', posted = 'since', presumed = 'since' }

local function move_images(root, id, hold, from, to, ms)
  local was, is = IMAGES[from], IMAGES[to]
  if was == is or hold.images == 0 then
    return
  end
  local account, posts = root .. 'account:' .. hold.account, root .. 'posts@' .. hold.account
  local post = whole(hold.images) .. ' ' .. id
  if was == 'held' then
    redis.call('HINCRBY', account, 'held', -hold.images)
  elseif was == 'since' then
    redis.call('HINCRBY', account, 'spent', -hold.images)
    if redis.call('ZREM', posts, post) == 1 then  -- else a poll has seen that it was not charged
      redis.call('HINCRBY', account, 'since', -hold.images)
    end
  end
  if is == 'held' then
    redis.call('HINCRBY', account, 'held', hold.images)
  elseif is == 'since' then
    redis.call('HINCRBY', account, 'spent', hold.images)
    redis.call('HINCRBY', account, 'since', hold.images)
    redis.call('ZADD', posts, ms, post)
  end
end

-- `open` has how many calls each key has under way.
local function count_open(root, key, more)
  if key ~= '-' and redis.call('HINCRBY', root .. 'open', key, more) == 0 then
    redis.call('HDEL', root .. 'open', key)
  end
end

-- Books the cost where the state `to` has it, and writes the hold; `due` is when an open one is swept.
local function hold_move(root, id, hold, from, to, due, ms)
  local budget = budget_of(root, hold)
  if ACCOUNT[from] ~= ACCOUNT[to] and hold.cost > 0 then
    if ACCOUNT[from] then
      redis.call('HINCRBY', budget, ACCOUNT[from], -hold.cost)
    end
    if ACCOUNT[to] then
      redis.call('HINCRBY', budget, ACCOUNT[to], hold.cost)
      redis.call('PEXPIREAT', budget, whole(hold.stop + BUDGET_MS))
    end
  end
  if hold.key ~= '-' then
    move_images(root, id, hold, from, to, ms)
    if is_open(to) ~= is_open(from) then
      count_open(root, hold.key, is_open(to) and 1 or -1)
    end
  end
  hold.state, hold.due = to, due
  local life = to == 'presumed' and BUDGET_MS or RESOLVED_MS  -- an outcome may come late
  if is_open(to) then
    redis.call('ZADD', root .. 'slots:' .. hold.tenant, due, id)
    redis.call('ZADD', root .. 'holds', due, id)
    life = math.max(due - ms, 0) + BUDGET_MS  -- nobody sweeps while no replica lives
  elseif is_open(from) then
    redis.call('ZREM', root .. 'slots:' .. hold.tenant, id)
    redis.call('ZREM', root .. 'holds', id)
  end
  redis.call('SET', root .. 'hold:' .. id, table.concat({
    to, hold.tenant, hold.operation, whole(hold.cost), hold.start, hold.stop, whole(due),
    hold.attempt, hold.key, hold.account, whole(hold.images),
  }, ' '), 'PX', whole(life))
  if from ~= to then
    note(root, id, hold)
  end
end

-- Resolves open holds that nobody waits for any more, `most` of them.
local function sweep(root, ms, most)
  local late = redis.call('ZRANGEBYSCORE', root .. 'holds', '-inf', ms, 'LIMIT', 0, most)
  for _, id in ipairs(late) do
    local hold = hold_read(root, id)
    if hold and is_open(hold.state) then
      hold_move(root, id, hold, hold.state, hold.state == 'sent' and 'presumed' or 'lapsed', hold.due, ms)
    else
      redis.call('ZREM', root .. 'holds', id)
    end
  end
end

-- Whether a hold in state `from` (nil: unknown here) may be told to be in state `to`.
local function may_be(from, to)
  if not from or from == 'lapsed' then
    return true
  elseif from == 'presumed' and to == 'sent' then
    return true  -- it was swept while its replica could not be heard
  end
  return RANK[to] > RANK[from]
end

-- The generation and the replica's count of calls, this one included. A count below the one that the replica
-- knows does not rise: it shows what was lost until that is noticed, though the first answers be lost too.
local function turn(root, replica, known)
  local name = root .. 'seq:' .. replica
  local seq = tonumber(redis.call('GET', name) or 0)
  if seq >= known then
    seq = redis.call('INCR', name)
    if seq == 1 then
      redis.call('PEXPIRE', name, RESOLVED_MS)
    end
  end
  local gen = redis.call('HMGET', root .. 'gen', 'id', 'open_at')
  return gen[1] or '', seq, tonumber(gen[2] or 0)
end

