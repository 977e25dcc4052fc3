-- A lock's token as text, or false if somebody has it.
-- KEYS: the lock; the last token. ARGV: for how many ms; for how many the last token is kept.
-- The time in microseconds grows by itself, also where the last token was lost.
local time = redis.call('TIME')
local token = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = redis.pcall('GET', KEYS[2])
last = type(last) == 'string' and tonumber(last) or 0
if token <= last then token = last + 1 end
token = string.format('%.0f', token)
if not redis.call('SET', KEYS[1], token, 'PX', ARGV[1], 'NX') then return false end
redis.call('SET', KEYS[2], token, 'PX', ARGV[2])
return token
