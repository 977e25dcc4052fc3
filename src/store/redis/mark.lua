-- A valid entry as get.lua gives it, if its key is given; otherwise the current versions of tags,
-- the missing ones created, and whose turn it is to load.
-- KEYS: the lease; perhaps the entry. ARGV: what version keys begin with; the version of those that
-- are missing; how long versions are kept, in ms; tags; who asks for the lease, or ''; for how many
-- ms.
local e, info
if KEYS[2] then
  e, info = valid(KEYS[2], ARGV[1])
else
  info = redis.call('INFO', 'replication')
end
if not string.find(info, 'role:master', 1, true) then
  return redis.error_reply('READONLY this is a replica')
end
if e then return {redis.call('PTTL', KEYS[2]), e} end
local epoch = string.sub(string.match(info, 'master_replid:(%x+)'), 1, 16)
local start, create, keep, ids = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local versions = {}
for i = 1, #ids / 8 do
  local key = start .. string.sub(ids, 8 * i - 7, 8 * i)
  local version = redis.pcall('GET', key)
  if type(version) == 'string' and string.sub(version, 1, 1) == 'x' and #version ~= 16 then
    version = string.rep('\0', 16)
  elseif type(version) == 'string' and #version == 16 then
    if redis.call('PTTL', key) < keep then redis.call('PEXPIRE', key, keep) end
  else
    redis.call('SET', key, create, 'PX', keep)
    version = create
  end
  versions[i] = version
end
local turn = 2
if ARGV[5] ~= '' then
  if redis.call('SET', KEYS[1], ARGV[5], 'NX', 'PX', ARGV[6]) then
    turn = 0
  elseif redis.pcall('GET', KEYS[1]) ~= 'never' then
    turn = 1
  end
end
return {epoch, table.concat(versions), turn}
