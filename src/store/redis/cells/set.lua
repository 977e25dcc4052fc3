-- Puts bytes under a key, or removes what is there: 1, or 0 if things are not as was asked.
-- KEYS: the cell; the right to fill it. ARGV: bytes; time to live, in ms, 0 to remove; when: '',
-- 'absent', or who has the right to fill.
-- What needs room comes first: after another write a full Redis would no longer refuse it.
if ARGV[3] == 'absent' then
  if not redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then return 0 end
elseif ARGV[3] ~= '' and redis.pcall('GET', KEYS[2]) ~= ARGV[3] then
  return 0
elseif ARGV[2] ~= '0' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
else
  redis.call('DEL', KEYS[2])
  return redis.call('DEL', KEYS[1])
end
redis.call('DEL', KEYS[2])
return 1
