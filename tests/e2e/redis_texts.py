"""All that a Redis keeps, as text to search."""

from __future__ import annotations

from tests.servers.process import Server

__all__ = ["all_of"]

_READ = """
local texts = {}
local function take(value)
  if type(value) == 'table' then
    for _, inner in ipairs(value) do take(inner) end
  else
    texts[#texts + 1] = tostring(value)
  end
end
local READ = {
  string = { 'GET' }, hash = { 'HGETALL' }, set = { 'SMEMBERS' }, list = { 'LRANGE', 0, -1 },
  zset = { 'ZRANGE', 0, -1, 'WITHSCORES' }, stream = { 'XRANGE', '-', '+' },
}
for _, name in ipairs(redis.call('KEYS', '*')) do
  local how = READ[redis.call('TYPE', name).ok]
  take(name)
  take(redis.call(how[1], name, unpack(how, 2)))
end
return texts
"""


def all_of(server: Server) -> list[bytes]:
    """Every name and value, members of collections one by one."""
    texts: list[bytes] = server.admin("EVAL", _READ, 0)
    return texts
