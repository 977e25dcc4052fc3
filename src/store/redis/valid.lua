-- The entry under a key if it is valid: its bytes, or nothing. Also what `INFO` says.
local function valid(key, start)
  -- Changes nothing, but is a write: a replica refuses it, and a primary whose replicas have left
  -- it, where `min-replicas-to-write` asks for some. So one that was replaced answers nothing.
  redis.call('PEXPIRE', start, 1)
  local info = redis.call('INFO', 'replication')
  if not string.find(info, 'role:master', 1, true) then return nil, info end
  local e = redis.pcall('GET', key)
  if type(e) ~= 'string' or #e < 51 or string.sub(e, 1, 5) ~= 'sORE\1' then return nil, info end
  if not string.find(info, 'master_replid:' .. string.sub(e, 22, 37), 1, true) then
    return nil, info
  end
  local low, high = string.byte(e, 46, 47)
  local n = low + 256 * high
  local versions = 52 + 8 * n
  if n == 0 or n > 4000 or #e < versions + 16 * n - 1 then return nil, info end
  local keys, sub = {}, string.sub
  for i = 1, n do
    keys[i] = start .. sub(e, 44 + 8 * i, 51 + 8 * i)
  end
  local whole, now = pcall(table.concat, redis.call('MGET', unpack(keys)))
  if not whole or now ~= sub(e, versions, versions + 16 * n - 1) then return nil, info end
  return e, info
end
