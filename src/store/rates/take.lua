-- Takes from several rates at once, or from none. KEYS: the rates. ARGV: for each, what is taken and the tolerance.
-- Returns the longest wait, the place of the rate that waits for it (0: taken), and for each rate: how far it is ahead of now, where that
-- ends, and what has been given back. All times are microseconds of this server's clock.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local found, longest, place = {}, 0, 0
for i, key in ipairs(KEYS) do
  local ends, seen, back = string.match(redis.call('GET', key) or '0 0 0', '(%d+) (%d+) (%d+)')
  ends, seen = tonumber(ends), tonumber(seen)
  -- A clock that was set back makes nobody wait for it.
  if now < seen then ends = ends - (seen - now) end
  ends = math.max(ends, now)
  local cost, tolerance = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local wait = math.min(cost, tolerance) + ends - now - tolerance
  if wait > longest then longest, place = wait, i end
  found[i] = {ends, back, cost}
end
local told = {longest, place}
for i, key in ipairs(KEYS) do
  local ends, back, cost = unpack(found[i])
  if place == 0 then
    ends = ends + cost
    redis.call('SET', key, string.format('%.0f %.0f %s', ends, now, back), 'PX', math.ceil((ends - now) / 1000) + 1000)
  end
  told[#told + 1] = ends - now
  told[#told + 1] = ends
  told[#told + 1] = tonumber(back)
end
return told
