-- Tell what became of holds; and, now and then, nothing but that the replica lives.
--
-- KEYS  1 root of all names
-- ARGV  1 replica   2 open holds that may be swept; then thirteen for each hold:
--       id, state, tenant, operation, cost, start and end of its period, ms for which a sent one is waited
--       for, number of the attempt, key, account, images, and what it has shown: JSON as `judge` has it, or
--       nothing
--       last: the replica's count as it knows it
-- Answer  generation, the replica's count, time in us; then for each hold its state now, what its budget
--         has spent, and what is held of it. Without a generation nothing was done and no hold is answered
--
-- Invariants:
--   * A state that a hold is past, or has, changes nothing; `sent` of one that is sent is waited for anew.
--   * A hold that these books do not know is written as it is told: they were emptied or taken back, or the
--     replica has granted it on trust.
--   * What an attempt has shown is said of its own key, and once.
local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end

local known = tonumber(table.remove(ARGV))
local root = KEYS[1]
local us = now()
local ms = math.floor(us / 1000)
local gen, seq = turn(root, ARGV[1], known)
redis.call('PEXPIRE', root .. 'seq:' .. ARGV[1], RESOLVED_MS)
local answer = { gen, seq, us }
if gen == '' then
  return answer
end

-- Whether the attempt is a later one than these books know of, or went with another key: the replica has
-- chosen it by itself, while they could not be heard.
local function is_news(hold, told)
  return told.attempt > hold.attempt or
    (told.attempt == hold.attempt and told.key ~= hold.key and hold.key ~= '-')
end

local function change_key(id, hold, told)
  if is_open(hold.state) then
    free_key(root, hold)
    hold_key(root, told)
  end
  hold.attempt, hold.key, hold.account, hold.images = told.attempt, told.key, told.account, told.images
end

sweep(root, ms, tonumber(ARGV[2]))
for i = 3, #ARGV, 13 do
  local id, state = ARGV[i], ARGV[i + 1]
  local told = {
    tenant = ARGV[i + 2], operation = ARGV[i + 3], cost = tonumber(ARGV[i + 4]),
    start = ARGV[i + 5], stop = ARGV[i + 6], attempt = tonumber(ARGV[i + 8]),
    key = ARGV[i + 9], account = ARGV[i + 10], images = tonumber(ARGV[i + 11]),
  }
  local hold = hold_read(root, id) or told
  local from = hold.state
  if from ~= 'presumed' and may_be(from, state) and is_news(hold, told) then
    change_key(id, hold, told)
  end
  if may_be(from, state) or (from == 'sent' and state == 'sent') then
    hold_move(root, id, hold, from, state, ms + tonumber(ARGV[i + 7]), ms)
    local is_its_own = hold.key ~= '-' and hold.key == told.key and hold.attempt == told.attempt
    if ARGV[i + 12] ~= '' and is_its_own then
      judge(root, hold, cjson.decode(ARGV[i + 12]), ms)
    end
  end
  local settled, held = spent(root, hold)
  for _, word in ipairs({ hold.state, settled, held }) do
    answer[#answer + 1] = word
  end
end
return answer
