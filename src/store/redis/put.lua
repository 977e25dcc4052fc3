-- Stores an entry whose guards have not moved: 1, or 0 if one has. Without a key for it, as in a
-- Cluster, answers with the versions of the late tags instead.
-- KEYS: the lease; the entry. ARGV: what version keys begin with; epoch; guards; their versions;
-- late tags; the version of those that are missing; how long versions are kept, in ms; who has
-- the lease, or ''; the entry up to its late versions; its value; its time to live, in ms; 1 to
-- replace a valid entry.
if ARGV[8] ~= '' and redis.pcall('GET', KEYS[1]) == ARGV[8] then redis.call('DEL', KEYS[1]) end
local info = redis.call('INFO', 'replication')
if not string.find(info, 'role:master', 1, true) then
  return redis.error_reply('READONLY this is a replica')
end
if not string.find(info, 'master_replid:' .. ARGV[2], 1, true) then return 0 end
if KEYS[2] and ARGV[12] ~= '1' and valid(KEYS[2], ARGV[1]) then return 0 end
local start, guards, late, keep = ARGV[1], ARGV[3], ARGV[5], tonumber(ARGV[7])
for i = 1, #guards / 8 do
  local now = redis.pcall('GET', start .. string.sub(guards, 8 * i - 7, 8 * i))
  if now ~= string.sub(ARGV[4], 16 * i - 15, 16 * i) then return 0 end
end
local versions = {}
for i = 1, #late / 8 do
  local key = start .. string.sub(late, 8 * i - 7, 8 * i)
  local version = redis.pcall('GET', key)
  if type(version) == 'string' and #version == 16 then
    if redis.call('PTTL', key) < keep then redis.call('PEXPIRE', key, keep) end
  else
    redis.call('SET', key, ARGV[6], 'PX', keep)
    version = ARGV[6]
  end
  versions[i] = version
end
versions = table.concat(versions)
if not KEYS[2] then return versions end
redis.call('SET', KEYS[2], ARGV[9] .. versions .. ARGV[10], 'PX', ARGV[11])
return 1
