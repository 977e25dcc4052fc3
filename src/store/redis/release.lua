-- Ends a lease; `never` tells those who ask in the next second that nobody will put the entry.
-- KEYS: the lease. ARGV: who has it; 1 for never.
if redis.pcall('GET', KEYS[1]) == ARGV[1] then
  if ARGV[2] == '1' then
    redis.call('SET', KEYS[1], 'never', 'PX', 1000)
  else
    redis.call('DEL', KEYS[1])
  end
end
return 1
