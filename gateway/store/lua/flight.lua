-- What the scripts of flights share. It stands before each of them; it is no script of its own.
--
-- The record of a flight is a hash. Its fields; times are milliseconds of Redis TIME:
--   phase     prepared: led, nothing sent yet; sent: the upstream is or was being called;
--             free: given back unpaid; ended
--   epoch     rises with every lead, also over the loss of a record: it is never below the clock
--   token     of the lead that wrote last; it is what a lead is known by
--   replica   where that lead is
--   attempts  attempts that earlier leads have sent and never told the end of
--   lease     time up to which the leader is taken for alive                  } while
--   timeout   milliseconds that the operation may take                        } prepared
--   sent_at   time of `sent`, in phase sent                                   } or sent
--   outcome, message                what the leader said, in phase ended
--   follower:<replica>              is woken when the phase becomes free or ended
--   buyer:<replica>                 has led an edit whose result cannot be shared: token of its lead,
--                                   or nothing for the leader that said so
--
-- Invariants:
--   * A lead is told that it may send only while no other lead is in phase sent or has a higher epoch.
--   * A call made twice with the same token, flight and time changes nothing the second time.
--   * A record always has a time to live, longer than anything that it waits for.

local MOST_FOLLOWERS = 64

local function now() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end

local NUMBERS = { epoch = true, attempts = true, lease = true, timeout = true, sent_at = true }

local function read(key)
  local flat = redis.call('HGETALL', key)
  if #flat == 0 then
    return nil
  end
  local record = { followers = {}, buyers = {} }
  for i = 1, #flat, 2 do
    local kind, replica = string.match(flat[i], '^(%a+):(.+)$')
    if kind == 'follower' then
      record.followers[replica] = flat[i + 1]
    elseif kind == 'buyer' then
      record.buyers[replica] = flat[i + 1]
    else
      record[flat[i]] = NUMBERS[flat[i]] and tonumber(flat[i + 1]) or flat[i + 1]
    end
  end
  return record
end

local function is_flying(record)
  return record.phase == 'prepared' or record.phase == 'sent'
end

-- The time from which a lead may be taken over if it is not renewed.
local function open_at(record)
  if record.phase == 'sent' then
    return math.max(record.lease, record.sent_at + record.timeout)
  end
  return record.lease
end

-- Writes the whole record; it lives for `keep` milliseconds more than it is waited for.
-- A server whose memory is full allows DEL, and after a first write the rest of a script: so it takes
-- flights all the same. They are small, live for minutes, and without them every replica would pay.
local function save(key, record, time, keep)
  local flat = {}
  local function add(name, value)
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  for name, value in pairs(record) do
    if type(value) ~= 'table' then
      add(name, value)
    end
  end
  for replica, value in pairs(record.followers or {}) do
    add('follower:' .. replica, value)
  end
  for replica, value in pairs(record.buyers or {}) do
    add('buyer:' .. replica, value)
  end
  local life = is_flying(record) and math.max(open_at(record) - time, 0) + keep or keep
  redis.call('DEL', key)
  redis.call('HSET', key, unpack(flat))
  redis.call('PEXPIRE', key, life)
end

local function wake(record, channel, flight)
  for replica in pairs(record.followers) do
    redis.call('PUBLISH', channel .. replica, flight)
  end
end

-- Whether `record` keeps the lead `mine` from holding the flight.
-- A sent lead yields to another sent one and to an ending, and to nothing else: its money is on the way.
local function bars(record, mine)
  if record.token == mine.token then
    return not is_flying(record)
  end
  if record.phase == 'sent' then
    return true
  end
  if mine.phase == 'sent' and record.phase ~= 'ended' then
    return false
  end
  return record.epoch >= mine.epoch
end

local function buys_alone(record, mine)
  return record.phase == 'ended' and record.buyers[mine.replica] == mine.token
end

-- Completes `mine`, which the record does not bar, by what the record knows and `mine` does not.
local function inherit(record, mine)
  if record.phase == 'ended' then
    return
  end
  mine.epoch = math.max(mine.epoch, record.epoch)
  mine.attempts = math.max(mine.attempts, record.attempts)
  mine.followers = record.followers
  if record.phase == 'sent' then
    mine.phase, mine.sent_at = record.phase, record.sent_at
  end
end

