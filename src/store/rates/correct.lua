-- Corrects what was taken from several rates. KEYS: the rates. ARGV: for each, what was used beyond what was taken, what was taken and not used,
-- where what was taken ended, and what had been given back before. Only what is not worked off yet comes back: with the rest, the next ones
-- could come faster than the rate.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for i, key in ipairs(KEYS) do
  local ends, seen, back = string.match(redis.call('GET', key) or '0 0 0', '(%d+) (%d+) (%d+)')
  ends, seen, back = tonumber(ends), tonumber(seen), tonumber(back)
  if now < seen then ends = ends - (seen - now) end
  local more, less, ended, before = unpack(ARGV, 4 * i - 3, 4 * i)
  more, less, ended, before = tonumber(more), tonumber(less), tonumber(ended), tonumber(before)
  ends = math.max(ends, now) + more
  local left = ended - math.max(0, back - before) - now
  local gives = math.max(0, math.min(less, left, ends - now))
  ends, back = ends - gives, back + gives
  redis.call('SET', key, string.format('%.0f %.0f %.0f', ends, now, back), 'PX', math.ceil((ends - now) / 1000) + 1000)
end
return 0
