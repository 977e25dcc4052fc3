-- Gives a lock back: 1, or 0 if this token has it no more.
-- KEYS: the lock. ARGV: the token.
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
