-- A valid entry: false, 1 if the caller has it, or its age limit and its bytes (see format.rs).
-- KEYS: the entry. ARGV: what version keys begin with; the entry that the caller has, or ''.
local e = redis.pcall('GET', KEYS[1])
if type(e) ~= 'string' or #e < 51 or string.sub(e, 1, 5) ~= 'sORE\1' then return false end
local info = redis.call('INFO', 'replication')
if not string.find(info, 'role:master', 1, true) then
  return redis.error_reply('READONLY this is a replica')
end
if not string.find(info, 'master_replid:' .. string.sub(e, 22, 37), 1, true) then return false end
local low, high = string.byte(e, 46, 47)
local n = low + 256 * high
local versions = 52 + 8 * n
if n == 0 or n > 4000 or #e < versions + 16 * n - 1 then return false end
local keys, start, sub = {}, ARGV[1], string.sub
for i = 1, n do
  keys[i] = start .. sub(e, 44 + 8 * i, 51 + 8 * i)
end
local whole, now = pcall(table.concat, redis.call('MGET', unpack(keys)))
if not whole or now ~= sub(e, versions, versions + 16 * n - 1) then return false end
if sub(e, 6, 21) == ARGV[2] then return 1 end
return {redis.call('PTTL', KEYS[1]), e}
