-- Sets the mark of one purge or revocation, and tells every replica.
--
-- KEYS  1  the tick's hash
-- ARGV  1  the field
--       2  the channel on which replicas are told
--       3  milliseconds for which the mark of a digest is kept
--       4  digests that may be marked at once
-- Answer   the mark, or 0 when that many other digests are marked
--
-- A mark is the time in milliseconds, or the version plus one where that is more: so marks are all
-- different and rise, though clocks may not. The version is the latest mark. Marks of digests that have no
-- more meaning are dropped here and in `epochs.py`, by the same rule: they are older than any result, or
-- not above the mark of all. Called twice, the later mark counts.

local function now() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end

local field = ARGV[1]
local ms = now()
if string.sub(field, 1, 7) == 'digest:' or field == 'all' then
  local oldest = math.max(ms - ARGV[3], tonumber(redis.call('HGET', KEYS[1], 'all') or 0))
  local marks = redis.call('HGETALL', KEYS[1])
  local digests = 0
  for i = 1, #marks, 2 do
    if string.sub(marks[i], 1, 7) == 'digest:' and marks[i] ~= field then
      if field == 'all' or tonumber(marks[i + 1]) <= oldest then
        redis.call('HDEL', KEYS[1], marks[i])
      else
        digests = digests + 1
      end
    end
  end
  if digests >= tonumber(ARGV[4]) then
    return 0
  end
end
local mark = math.max(ms, tonumber(redis.call('HGET', KEYS[1], 'version') or 0) + 1)
local text = string.format('%.0f', mark)
redis.call('HSET', KEYS[1], field, text, 'version', text)
redis.call('PUBLISH', ARGV[2], text)
return mark
