-- Renew the leases of a replica's leads, and write anew what was lost.
--
-- KEYS  the flights' records, one a lead
-- ARGV  1 replica   2 lease, ms   3 life of what is over, ms; then five for each lead:
--       token, epoch, attempts before, time-out of the operation in ms, time of `sent` or 0
-- Answer  one number for each lead: 1 held, 0 let go
--
-- Invariants:
--   * A record that is lost or went back in time is as it was, afterwards.
--   * A sent lead takes the flight back from one that has sent nothing: that one is told so by `sent`.
local time, replica = now(), ARGV[1]
local lease, keep = tonumber(ARGV[2]), tonumber(ARGV[3])

local function renew(key, first)
  local sent_at = tonumber(ARGV[first + 4])
  local mine = {
    phase = sent_at > 0 and 'sent' or 'prepared', sent_at = sent_at > 0 and sent_at or nil,
    replica = replica, token = ARGV[first], epoch = tonumber(ARGV[first + 1]),
    attempts = tonumber(ARGV[first + 2]), timeout = tonumber(ARGV[first + 3]),
    lease = time + lease,
  }
  local record = read(key)
  if record then
    if buys_alone(record, mine) then
      return 1
    elseif bars(record, mine) then
      return 0
    end
    inherit(record, mine)
  end
  save(key, mine, time, keep)
  return 1
end

local held = {}
for i, key in ipairs(KEYS) do
  held[i] = renew(key, 5 * i - 1)
end
return held
