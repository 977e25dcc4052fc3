-- Adds to a counter: its value as text (a number of Lua's has only 53 bits), 'overflow', or 'other'
-- if there is something else.
-- KEYS: the cell; the right to fill it. ARGV: how much; the time to live of a new one, in ms.
local now = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(now) == 'table' then
  if string.find(now.err, 'overflow', 1, true) then return 'overflow' end
  if string.find(now.err, 'not an integer', 1, true) or string.find(now.err, 'WRONGTYPE', 1, true) then
    return 'other'
  end
  return redis.error_reply('ERR ' .. now.err)
end
now = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[2])
-- Only one that was just made has no end.
if redis.call('PTTL', KEYS[1]) == -1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return now
