-- Tell what became of holds; and, now and then, nothing but that the replica lives.
--
-- KEYS  1 root of all names
-- ARGV  1 replica   2 open holds that may be swept; then thirteen for each hold:
--       id, state, tenant, operation, cost, start and end of its period, ms for which a sent one is waited
--       for, number of the attempt, key, account, images, and what it has shown: JSON as `judge` has it, or
--       nothing
-- Answer  generation, the replica's count, time in us; then for each hold its state now, what its budget
--         has spent, and what is held of it. Without a generation nothing was done and no hold is answered
--
-- Invariants:
--   * A state that a hold is past, or has, changes nothing; `sent` of one that is sent is waited for anew.
--   * A hold that these books do not know is written as it is told: they were emptied or taken back, or the
--     replica has granted it on trust.
local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end

local root = KEYS[1]
local us = now()
local ms = math.floor(us / 1000)
local gen, seq = turn(root, ARGV[1])
redis.call('PEXPIRE', root .. 'seq:' .. ARGV[1], RESOLVED_MS)
local answer = { gen, seq, us }
if gen == '' then
  return answer
end
sweep(root, ms, tonumber(ARGV[2]))
for i = 3, #ARGV, 13 do
  local id, state = ARGV[i], ARGV[i + 1]
  local hold = hold_read(root, id)
  local from = hold and hold.state
  hold = hold or {
    tenant = ARGV[i + 2], operation = ARGV[i + 3], cost = tonumber(ARGV[i + 4]),
    start = ARGV[i + 5], stop = ARGV[i + 6], attempt = tonumber(ARGV[i + 8]),
    key = ARGV[i + 9], account = ARGV[i + 10], images = tonumber(ARGV[i + 11]),
  }
  if may_be(from, state) or (from == 'sent' and state == 'sent') then
    hold_move(root, id, hold, from, state, ms + tonumber(ARGV[i + 7]), ms)
    if ARGV[i + 12] ~= '' and hold.key ~= '-' then
      judge(root, hold, cjson.decode(ARGV[i + 12]), ms)
    end
  end
  local settled, held = spent(root, hold)
  for _, word in ipairs({ hold.state, settled, held }) do
    answer[#answer + 1] = word
  end
end
return answer
