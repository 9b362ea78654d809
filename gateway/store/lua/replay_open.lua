-- Open the slot of an idempotency key for a request, or hear how the request under it ended.
--
-- KEYS  1 the slot's record
-- ARGV  1 digest of the request   2 life of the record, ms
-- Answer  {'open'}; {'ended', outcome}; {'conflict'} when the slot was opened for another request
--
-- Invariants:
--   * The request of a slot never changes while the record lives.
--   * A second call changes nothing, and the record does not live longer for it: its picture does not.
local request = redis.call('HGET', KEYS[1], 'request')
if not request then
  redis.call('HSET', KEYS[1], 'request', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return { 'open' }
elseif request ~= ARGV[1] then
  return { 'conflict' }
end
local outcome = redis.call('HGET', KEYS[1], 'outcome')
if outcome then
  return { 'ended', outcome }
end
return { 'open' }
