-- Draw tokens of a tenant's request rate for a replica, and take back what it has left of its last.
-- Its twin is `LeasedBucket.draw` of domain/leases.py.
--
-- KEYS  1 the bucket: a hash with `full_at`, the time at which it is full again, and a field `lease:<replica>`
--         for each replica's last lease: number, tokens, spare ones and time, apart by spaces
-- ARGV  1 microseconds a token   2 burst   3 replica   4 number of the ask, one more than its last
--       5 tokens wanted   6 how many of them callers wait for   7 tokens used of its last lease
-- Answer  {tokens, full_at, now}: times are microseconds of Redis TIME
--
-- Invariants:
--   * Spare tokens are those that nobody waits for. While they may come back, the bucket is full with as
--     many less. So by the times at which they were drawn, tokens that do not come back are
--     burst + t / interval at most in any time t.
--   * The last ask made again changes nothing and is answered with as many tokens; an older one gets none.
--   * The key lives until the bucket is full, and as long as spare tokens may come back.
local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end

local KEPT = 1000000  -- for so long spare tokens may come back

local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local mine, number = 'lease:' .. ARGV[3], tonumber(ARGV[4])
local wanted, waiting, used = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local time = now()
local full_at, others = 0, 0
local last

local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  if flat[i] == 'full_at' then
    full_at = tonumber(flat[i + 1])
  else
    local of, tokens, spare, at = string.match(flat[i + 1], '^(%d+) (%d+) (%d+) (%d+)$')
    local age = time - at
    if age < 0 or age >= KEPT then
      redis.call('HDEL', KEYS[1], flat[i])
    elseif flat[i] == mine then
      last = { number = tonumber(of), tokens = tonumber(tokens), spare = tonumber(spare) }
    else
      others = others + spare
    end
  end
end

local function whole(value)
  return string.format('%.0f', value)
end

if last and last.number >= number then
  return { last.number == number and last.tokens or 0, full_at, time }
end
local back = 0
if last and last.number == number - 1 then
  back = math.min(last.spare, last.tokens - used)
end
local empty_at = time + burst * interval
local base = math.min(math.max(full_at - back * interval, time + others * interval), empty_at)
local tokens = math.min(wanted, math.floor((empty_at - base) / interval))
local spare = math.max(tokens - waiting, 0)
full_at = base + tokens * interval
redis.call('HSET', KEYS[1], 'full_at', whole(full_at),
  mine, table.concat({ whole(number), whole(tokens), whole(spare), whole(time) }, ' '))
redis.call('PEXPIRE', KEYS[1], whole(math.max(math.ceil((full_at - time) / 1000), KEPT / 1000)))
return { tokens, full_at, time }
