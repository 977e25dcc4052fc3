-- Deletes versions, then tells; answers with the versions that are watched.
-- KEYS: any version key. ARGV: what version keys begin with; tags; tags to block, each with who
-- does; the same to unblock; watched tags; PUBLISH or SPUBLISH; channel; message, or ''.
local function keys(ids)
  local all = {}
  for i = 1, #ids / 8 do
    all[i] = ARGV[1] .. string.sub(ids, 8 * i - 7, 8 * i)
  end
  return all
end
-- In place of a version stands an x and all who block it.
local function set_blocked(list, on)
  for i = 1, #list / 24 do
    local key = ARGV[1] .. string.sub(list, 24 * i - 23, 24 * i - 16)
    local who, others = string.sub(list, 24 * i - 15, 24 * i), ''
    local now = redis.pcall('GET', key)
    if type(now) == 'string' and string.sub(now, 1, 1) == 'x' and #now % 16 == 1 then
      for at = 2, #now, 16 do
        local other = string.sub(now, at, at + 15)
        if other ~= who then others = others .. other end
      end
    end
    if on then others = others .. who end
    if others ~= '' then
      redis.call('SET', key, 'x' .. others, 'PX', 300000)
    else
      redis.call('DEL', key)
    end
  end
end
local bumped = keys(ARGV[2])
for first = 1, #bumped, 4000 do
  redis.call('DEL', unpack(bumped, first, math.min(first + 3999, #bumped)))
end
set_blocked(ARGV[3], true)
set_blocked(ARGV[4], false)
if ARGV[8] ~= '' then redis.call(ARGV[6], ARGV[7], ARGV[8]) end
local watched = {}
for i, key in ipairs(keys(ARGV[5])) do
  local version = redis.pcall('GET', key)
  watched[i] = type(version) == 'string' and #version == 16 and version or ''
end
return watched
