-- Lead a flight, follow its leader, or hear how it ended.
--
-- KEYS  1 the flight's record
-- ARGV  1 replica   2 token of the lead, should this become one
--       3 epoch up to which endings are passed over; below zero: all of them, the caller is new
--       4 time-out of the operation, ms   5 lease, ms   6 longest wait of a follower, ms
--       7 attempts that takeovers may pay for   8 life of what is over, ms
-- Answer  {'lead', epoch, attempts before}   {'follow', epoch, ms to wait at most}
--         {'ended', epoch, outcome, message}
--         {'alone', epoch, 0}: lead for this replica only, as the result cannot be shared
--         {'unknown', epoch}: every attempt was sent and none told its end
--
-- Invariants:
--   * One lead at a time, but after `unshared`: then one at each other replica, side by side.
--   * A prepared lead is taken over when its lease has ended. A sent one only when the operation's
--     time-out has passed too, and only while takeovers may pay.
--   * The token of the present lead gets its lead again: its first answer was lost.
local replica, token, seen = ARGV[1], ARGV[2], tonumber(ARGV[3])
local timeout, lease, longest = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local takeovers, keep = tonumber(ARGV[7]), tonumber(ARGV[8])
local time = now()
local record = read(KEYS[1])

local function is_its_own_ending()
  return seen >= 0 and record.epoch > seen
end

local function lead(attempts)
  local last = math.max(seen, record and record.epoch or 0)
  local mine = {
    phase = 'prepared', epoch = math.max(last + 1, time), token = token, replica = replica,
    attempts = attempts, timeout = timeout, lease = time + lease,
    followers = record and is_flying(record) and record.followers or {},
  }
  save(KEYS[1], mine, time, keep)
  return { 'lead', mine.epoch, attempts }
end

local function hear_the_end()
  local buyer = record.buyers[replica]
  if record.outcome == 'unshared' and (not buyer or buyer == token) then
    record.buyers[replica] = token
    save(KEYS[1], record, time, keep)
    return { 'alone', record.epoch, 0 }
  end
  return { 'ended', record.epoch, record.outcome, record.message }
end

local function follow()
  local noted = 0
  for _ in pairs(record.followers) do
    noted = noted + 1
  end
  if noted < MOST_FOLLOWERS and not record.followers[replica] then
    record.followers[replica] = 1
    save(KEYS[1], record, time, keep)
  end
  return { 'follow', record.epoch, math.min(open_at(record) - time, longest) }
end

if not record then
  return lead(0)
elseif record.phase == 'free' then
  return lead(record.attempts)
elseif record.phase == 'ended' then
  return is_its_own_ending() and hear_the_end() or lead(0)
elseif record.token == token then
  record.lease = time + lease
  save(KEYS[1], record, time, keep)
  return { 'lead', record.epoch, record.attempts }
elseif time < open_at(record) then
  return follow()
elseif record.phase == 'prepared' then
  return lead(record.attempts)
elseif record.attempts < takeovers then
  return lead(record.attempts + 1)
end
return is_its_own_ending() and { 'unknown', record.epoch } or lead(0)
