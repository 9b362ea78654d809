-- Say which generation the books are of, and which holds they know.
--
-- KEYS  1 root of the ledger's names
-- ARGV  ids of holds
-- Answer  generation, empty where there is none; the time in ms from which it admits; then for each hold
--         1 if these books know it, else 0
--
-- Invariant: nothing is changed.
local root = KEYS[1]
local gen = redis.call('HMGET', root .. 'gen', 'id', 'open_at')
local answer = { gen[1] or '', tonumber(gen[2] or 0) }
for _, id in ipairs(ARGV) do
  answer[#answer + 1] = redis.call('EXISTS', root .. 'hold:' .. id)
end
return answer
