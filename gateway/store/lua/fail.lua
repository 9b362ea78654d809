-- Give an unpaid flight back, for another to lead, and wake its followers.
--
-- KEYS  1 the flight's record
-- ARGV  1 flight   2 replica   3 token   4 epoch   5 attempts before   6 life of what is over, ms
--       7 prefix of the channels of wake-ups
-- Answer  1
--
-- Invariants:
--   * Only the present lead gives back. Its own attempt, sent or not, was not paid and does not count.
--   * Epoch and token stay: a call of this lead that comes late cannot hold the flight again.
local time, keep = now(), tonumber(ARGV[6])
local replica, token = ARGV[2], ARGV[3]
local record = read(KEYS[1])
if record and buys_alone(record, { replica = replica, token = token }) then
  redis.call('HDEL', KEYS[1], 'buyer:' .. replica)
  return 1
elseif record and (record.token ~= token or not is_flying(record)) then
  return 1
end
local back = {
  phase = 'free', epoch = tonumber(ARGV[4]), token = token, replica = replica,
  attempts = tonumber(ARGV[5]),
}
if record then
  back.epoch, back.attempts = record.epoch, record.attempts
end
save(KEYS[1], back, time, keep)
if record then
  wake(record, ARGV[7], ARGV[1])
end
return 1
