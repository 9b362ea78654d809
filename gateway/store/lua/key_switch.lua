-- Switch keys off, or on again, for all replicas: `admit` reads it with its next call.
--
-- KEYS  1 root of all names
-- ARGV  1 what is said of them: `drained` or `resumed` by an operator, `served`, `rejected` or `forbidden` by
--         an account call; then the keys
-- Answer  how many of them have changed
--
-- Invariants:
--   * Said twice is as said once.
--   * What an account call has shown changes nothing of a drained key; an operator's word always counts.
local root, word = KEYS[1], ARGV[1]
local changed = 0
for i = 2, #ARGV do
  local key = root .. 'key:' .. ARGV[i]
  local off = redis.call('HGET', key, 'off')
  if word == 'resumed' then
    changed = changed + redis.call('DEL', key)
    redis.call('SREM', root .. 'troubled', ARGV[i])
  elseif word == 'served' then
    if off and off ~= 'drained' then
      changed = changed + redis.call('HDEL', key, 'off')
    end
  elseif off ~= word and (word == 'drained' or off ~= 'drained') then
    redis.call('HSET', key, 'off', word)
    redis.call('SADD', root .. 'troubled', ARGV[i])
    changed = changed + 1
  end
end
return changed
