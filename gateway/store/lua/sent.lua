-- Mark that a lead is about to call the upstream.
--
-- KEYS  1 the flight's record
-- ARGV  1 replica   2 token   3 epoch   4 attempts before   5 time-out of the operation, ms
--       6 lease, ms   7 life of what is over, ms
-- Answer  the time of the mark, ms; 0: another leads or the flight has ended, do not call
--
-- Invariants:
--   * The first mark stays: a second call answers its time and counts no second attempt.
--   * A record that was lost, or that went back to an older lead, is written anew from the arguments.
local time, keep = now(), tonumber(ARGV[7])
local mine = {
  phase = 'prepared', replica = ARGV[1], token = ARGV[2], epoch = tonumber(ARGV[3]),
  attempts = tonumber(ARGV[4]), timeout = tonumber(ARGV[5]), lease = time + tonumber(ARGV[6]),
}
local record = read(KEYS[1])
if record then
  if buys_alone(record, mine) then
    return time
  elseif bars(record, mine) then
    return 0
  end
  inherit(record, mine)
end
if mine.phase == 'prepared' then
  mine.phase, mine.sent_at = 'sent', time
end
save(KEYS[1], mine, time, keep)
return mine.sent_at
