-- Write back what the log says that budgets had spent before Redis lost it.
--
-- KEYS  1 root of all names
-- ARGV  1 generation of the books as the caller knows it; empty: there were none
--       2 1: write; 0: only answer
--       then five for each budget: tenant, start and end of the period; by the log, spent in generations
--       before this one; and in all
-- Answer  the generation; for each budget what is spent in this generation, and `base` before and after.
--         Of another generation than the caller knows, nothing else, and nothing is written
--
-- Invariants:
--   * `base` only rises, and to the same whatever the order and the number of calls.
--   * It rises to what was spent before this generation; or until all that these books have, what is held
--     included, is what was spent in all: books that were taken back lack spending of their own generation.
--   * A period that these books would not keep is left as it is.
local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end

local root = KEYS[1]
local ms = math.floor(now() / 1000)
local gen = redis.call('HGET', root .. 'gen', 'id') or ''
local answer = { gen }
if gen ~= ARGV[1] then
  return answer
end
for i = 3, #ARGV, 5 do
  local period = { tenant = ARGV[i], start = ARGV[i + 1], stop = ARGV[i + 2] }
  local base = tonumber(redis.call('HGET', budget_of(root, period), 'base') or 0)
  local settled, held = spent(root, period)
  local after = math.max(base, tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]) - (settled - base) - held)
  if ms >= period.stop + BUDGET_MS then
    after = base
  elseif ARGV[2] == '1' then
    raise_base(root, period, after)
  end
  for _, number in ipairs({ settled - base, base, after }) do
    answer[#answer + 1] = number
  end
end
return answer
