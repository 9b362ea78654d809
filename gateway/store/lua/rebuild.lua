-- Open books where there are none, and write back what a replica knows of those that were lost.
--
-- KEYS  1 root of all names
-- ARGV  1 replica   2 id of a new generation   3 ms after which it admits: time for all to write back
--       4 number of buckets; then tenant and time in us for each
--       then four for each budget: tenant, start and end of the period, spent, without what is held
--       last: the replica's count as it knows it
-- Answer  generation, the replica's count, time in us
--
-- Invariants:
--   * A generation that is there stays.
--   * `base` and the buckets only rise: whatever the order of the replicas, the highest word stands.
local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end

local known = tonumber(table.remove(ARGV))
local root = KEYS[1]
local us = now()
local ms = math.floor(us / 1000)
if redis.call('EXISTS', root .. 'gen') == 0 then
  redis.call('HSET', root .. 'gen', 'id', ARGV[2], 'open_at', whole(ms + tonumber(ARGV[3])))
end
local first = 5 + 2 * tonumber(ARGV[4])
for i = 5, first - 1, 2 do
  local bucket, full_at = root .. 'bucket:' .. ARGV[i], tonumber(ARGV[i + 1])
  if full_at > us and full_at > tonumber(redis.call('GET', bucket) or 0) then
    redis.call('SET', bucket, whole(full_at), 'PX', math.ceil((full_at - us) / 1000) + 1000)
  end
end
for i = first, #ARGV, 4 do
  local period = { tenant = ARGV[i], start = ARGV[i + 1], stop = ARGV[i + 2] }
  raise_base(root, period, tonumber(ARGV[i + 3]))
end
local gen, seq = turn(root, ARGV[1], known)
return { gen, seq, us }
