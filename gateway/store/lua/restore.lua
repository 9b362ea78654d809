-- Writes back marks that Redis has lost: it was emptied, or went back to an older state.
--
-- KEYS  1  the tick's hash
-- ARGV  1  the channel on which replicas are told
--       then field and mark in turn: what a replica knows
-- Answer   how many fields were raised
--
-- A field only rises: whatever the order of the replicas, each ends at the highest mark that any of them
-- knows. The version rises with it, so that all replicas look. Called twice, the second changes nothing.

local function now() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end

local version = tonumber(redis.call('HGET', KEYS[1], 'version') or 0)
local highest = math.max(now(), version + 1)
local raised = 0
for i = 2, #ARGV, 2 do
  local mark = tonumber(ARGV[i + 1])
  if mark > tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or 0) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    raised = raised + 1
    highest = math.max(highest, mark)
  end
end
if raised > 0 then
  local text = string.format('%.0f', highest)
  redis.call('HSET', KEYS[1], 'version', text)
  redis.call('PUBLISH', ARGV[1], text)
end
return raised
