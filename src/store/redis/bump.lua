-- Deletes versions, then tells; answers with the versions that are watched.
-- KEYS: any version key. ARGV: what version keys begin with; tags; tags to block; tags to unblock;
-- watched tags; PUBLISH or SPUBLISH; channel; message, or ''.
local function keys(ids)
  local all = {}
  for i = 1, #ids / 8 do
    all[i] = ARGV[1] .. string.sub(ids, 8 * i - 7, 8 * i)
  end
  return all
end
local function blocks(key)
  local now = redis.pcall('GET', key)
  return type(now) == 'string' and #now ~= 16 and tonumber(string.match(now, '^x(%d+)$')) or 0
end
local bumped = keys(ARGV[2])
for first = 1, #bumped, 4000 do
  redis.call('DEL', unpack(bumped, first, math.min(first + 3999, #bumped)))
end
for _, key in ipairs(keys(ARGV[3])) do
  redis.call('SET', key, 'x' .. (blocks(key) + 1), 'PX', 300000)
end
for _, key in ipairs(keys(ARGV[4])) do
  local left = blocks(key) - 1
  if left > 0 then redis.call('SET', key, 'x' .. left, 'PX', 300000) else redis.call('DEL', key) end
end
if ARGV[8] ~= '' then redis.call(ARGV[6], ARGV[7], ARGV[8]) end
local watched = {}
for i, key in ipairs(keys(ARGV[5])) do
  local version = redis.pcall('GET', key)
  watched[i] = type(version) == 'string' and #version == 16 and version or ''
end
return watched
