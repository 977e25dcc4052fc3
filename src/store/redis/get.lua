-- A valid entry: false, 1 if the caller has it, or its age limit and its bytes (see format.rs).
-- KEYS: the entry. ARGV: what version keys begin with; the entry that the caller has, or ''.
local e, info = valid(KEYS[1], ARGV[1])
if not string.find(info, 'role:master', 1, true) then
  return redis.error_reply('READONLY this is a replica')
end
if not e then return false end
if string.sub(e, 6, 21) == ARGV[2] then return 1 end
return {redis.call('PTTL', KEYS[1]), e}
