-- Gives out the right to fill a cell; what is there, or false.
-- KEYS: the cell; the right. ARGV: who gets it; for how many ms.
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local value = redis.pcall('GET', KEYS[1])
return type(value) == 'string' and value
