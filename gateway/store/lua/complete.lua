-- End a flight, and wake its followers.
--
-- KEYS  1 the flight's record
-- ARGV  1 flight   2 replica   3 token   4 epoch   5 outcome   6 message   7 life of what is over, ms
--       8 prefix of the channels of wake-ups
-- Answer  1
--
-- Invariants:
--   * The first `stored` stays and replaces any other ending: there is a result for everybody, and
--     whoever bought it, it is paid.
--   * Among the others the first stays, and none counts while a later lead is flying.
--   * An ending of an older epoch, which was passed over, is no ending of this one.
local time, epoch, outcome = now(), tonumber(ARGV[4]), ARGV[5]
local record = read(KEYS[1])
if record then
  if record.phase == 'ended' then
    if record.epoch >= epoch and (record.outcome == 'stored' or outcome ~= 'stored') then
      return 1
    end
  elseif is_flying(record) and record.token ~= ARGV[3] then
    if record.epoch >= epoch and outcome ~= 'stored' then
      return 1
    end
  end
  epoch = math.max(epoch, record.epoch)
end
local ending = {
  phase = 'ended', epoch = epoch, replica = ARGV[2], token = ARGV[3], attempts = 0,
  outcome = outcome, message = ARGV[6],
  buyers = outcome == 'unshared' and { [ARGV[2]] = '' } or {},
}
save(KEYS[1], ending, time, tonumber(ARGV[7]))
if record then
  wake(record, ARGV[8], ARGV[1])
end
return 1
