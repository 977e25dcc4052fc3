-- Do these versions hold? (About PEXPIRE see valid.lua.)
-- For a Cluster, where an entry lies on another node than its versions.
-- KEYS: any version key. ARGV: what version keys begin with; epoch; tags; versions.
redis.call('PEXPIRE', KEYS[1], 1)
local info = redis.call('INFO', 'replication')
if not string.find(info, 'role:master', 1, true) then
  return redis.error_reply('READONLY this is a replica')
end
if not string.find(info, 'master_replid:' .. ARGV[2], 1, true) then return 0 end
local keys, start, ids = {}, ARGV[1], ARGV[3]
for i = 1, #ids / 8 do
  keys[i] = start .. string.sub(ids, 8 * i - 7, 8 * i)
end
local whole, now = pcall(table.concat, redis.call('MGET', unpack(keys)))
return whole and now == ARGV[4] and 1 or 0
