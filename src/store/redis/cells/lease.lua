-- Gives out the right to fill a cell, or shares the one that is out: who has it, and what is there.
-- KEYS: the cell; the right. ARGV: who gets it if nobody has it; for how many ms from now.
local who = redis.pcall('GET', KEYS[2])
if type(who) ~= 'string' or #who ~= 16 then who = ARGV[1] end
redis.call('SET', KEYS[2], who, 'PX', ARGV[2])
local value = redis.pcall('GET', KEYS[1])
return {who, type(value) == 'string' and value}
