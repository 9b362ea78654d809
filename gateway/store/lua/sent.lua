-- Mark that a lead is about to call the upstream, and that the credits held for the call go with it.
--
-- KEYS  1 the flight's record   2 root of the ledger's names
-- ARGV  1 replica   2 token   3 epoch   4 attempts before   5 time-out of the operation, ms
--       6 lease, ms   7 life of what is over, ms
--       8 id of the hold; empty: there is none   9 1: it was granted on trust and may be unknown
--       10 tenant   11 operation   12 cost   13 start and 14 end of its period
--       15 number of the attempt   16 key   17 account   18 images
--       last: the replica's count as it knows it
-- Answer  the time of the mark, ms; 0: another leads or the flight has ended, do not call;
--         -1: the hold has lapsed or is lost, do not call; then the generation of the books, and the
--         replica's count there
--
-- Invariants:
--   * Flight and hold are marked in one step, or neither is.
--   * The first mark stays: a second call answers its time and counts no second attempt.
--   * A record that was lost, or that went back to an older lead, is written anew from the arguments.
local known = tonumber(table.remove(ARGV))
local root, id = KEYS[2], ARGV[8]
local time, keep = now(), tonumber(ARGV[7])
local mine = {
  phase = 'prepared', replica = ARGV[1], token = ARGV[2], epoch = tonumber(ARGV[3]),
  attempts = tonumber(ARGV[4]), timeout = tonumber(ARGV[5]), lease = time + tonumber(ARGV[6]),
}
local gen, seq = '', 0
if id ~= '' then
  gen, seq = turn(root, ARGV[1], known)
end

-- The hold as it may be marked, else nothing.
local function markable()
  local hold = hold_read(root, id)
  if hold and is_open(hold.state) then
    return hold, hold.state
  elseif ARGV[9] == '1' and (not hold or hold.state == 'lapsed') then
    return {
      tenant = ARGV[10], operation = ARGV[11], cost = tonumber(ARGV[12]),
      start = ARGV[13], stop = ARGV[14], attempt = tonumber(ARGV[15]),
      key = ARGV[16], account = ARGV[17], images = tonumber(ARGV[18]),
    }, nil
  end
end

local function mark_hold(hold, from)
  if id ~= '' then
    hold_move(root, id, hold, from, 'sent', time + mine.timeout + tonumber(ARGV[6]), time)
  end
end

local hold, from
if id ~= '' then
  hold, from = markable()
  if not hold then
    return { -1, gen, seq }
  end
end
local record = read(KEYS[1])
if record then
  if buys_alone(record, mine) then
    mark_hold(hold, from)
    return { time, gen, seq }
  elseif bars(record, mine) then
    return { 0, gen, seq }
  end
  inherit(record, mine)
end
if mine.phase == 'prepared' then
  mine.phase, mine.sent_at = 'sent', time
end
mark_hold(hold, from)
save(KEYS[1], mine, time, keep)
return { mine.sent_at, gen, seq }
