-- Tell how keys, their accounts and the endpoints stand. Changes nothing.
--
-- KEYS  1 root of all names
-- ARGV  1 the operations, JSON: a list
--       2 the keys, JSON: a list   3 the accounts, JSON: a list
-- Answer  three lists, in the order of what was asked. Times are milliseconds, 0 for none and for one that is over
--         of each key: why it is off, or '', up to when it is left alone, and for sandbox calls; its calls in
--         the window; its open calls; up to when each operation is masked
--         of each account: what it had at the last poll, or nil, what is spent or held since; 1 when it is
--         exhausted; up to when it is left alone; its calls in the window
--         of each operation: its digests in trouble; up to when its endpoint is left alone
local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end

local root = KEYS[1]
local ms = math.floor(now() / 1000)
local operations, keys, accounts = cjson.decode(ARGV[1]), cjson.decode(ARGV[2]), cjson.decode(ARGV[3])

local function ahead(time)
  local at = tonumber(time or 0)
  return at > ms and at or 0
end

local function made(log)
  return redis.call('ZCOUNT', root .. 'calls:' .. log, '(' .. whole(ms), '+inf')
end

local answer = { {}, {}, {} }
for i, key in ipairs(keys) do
  local fields = { 'off', 'cool', 'cool:sandbox' }
  for _, operation in ipairs(operations) do
    fields[#fields + 1] = 'mask:' .. operation
  end
  local state = redis.call('HMGET', root .. 'key:' .. key, unpack(fields))
  local told = {
    state[1] or '', ahead(state[2]), ahead(state[3]), made(key),
    tonumber(redis.call('HGET', root .. 'open', key) or 0),
  }
  for place = 4, #fields do
    told[#told + 1] = ahead(state[place])
  end
  answer[1][i] = told
end
for i, account in ipairs(accounts) do
  local state = redis.call('HMGET', root .. 'account:' .. account,
    'available', 'since', 'held', 'exhausted', 'cool')
  answer[2][i] = {
    tonumber(state[1]) or false, (state[2] or 0) + (state[3] or 0), state[4] and 1 or 0, ahead(state[5]),
    made('@' .. account),
  }
end
for i, operation in ipairs(operations) do
  local fails = root .. 'fails:' .. operation
  local count = redis.call('ZCOUNT', fails, '(' .. whole(ms - FAILS_MS), '+inf')
  local last = redis.call('ZRANGE', fails, -1, -1, 'WITHSCORES')
  answer[3][i] = { count, count >= FAILS and tonumber(last[2]) + PROBE_MS or 0 }
end
return answer
