-- Note how the request in a slot ended.
--
-- KEYS  1 the slot's record
-- ARGV  1 digest of the request   2 outcome   3 life of the record, ms
-- Answer  1 when the outcome was noted, 0 when there was one, or the slot is another request's
--
-- Invariants:
--   * The first outcome stands; a second call changes nothing.
--   * A record that was lost is written anew: the outcome was paid for.
local request = redis.call('HGET', KEYS[1], 'request')
if request and request ~= ARGV[1] then
  return 0
end
if redis.call('HSETNX', KEYS[1], 'outcome', ARGV[2]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'request', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
