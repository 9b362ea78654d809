-- One beat of a replica: says that it lives, and asks what administrators have changed.
--
-- KEYS  1  the tick's hash
--       2  the replicas' sorted set
-- ARGV  1  the replica's id
--       2  the version of the hash that it knows; any other word for none
--       3  milliseconds after which a silent replica counts no more
-- Answer   {now in ms, replicas that live, version, fields}: the fields are the whole hash, field and value
--          in turn, or empty where the replica knows the version. The version is "" for an empty hash.
--
-- Called twice it does the same: a replica is in the set once.

local function now() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end

local ms = now()
redis.call('ZADD', KEYS[2], string.format('%.0f', ms), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', ms - ARGV[3]))
local version = redis.call('HGET', KEYS[1], 'version') or ''
local fields = {}
if version ~= ARGV[2] then
  fields = redis.call('HGETALL', KEYS[1])
end
return {ms, redis.call('ZCARD', KEYS[2]), version, fields}
