-- ARGV: age in ms. Forgets at most 500 jobs that finished so long ago; storage keeps their records. Answers how many.
local old = redis.call('ZRANGEBYSCORE', ended_set, '-inf', now - tonumber(ARGV[1]), 'LIMIT', 0, 500)
for _, id in ipairs(old) do
  if get(id, 'state') then forget(id) else redis.call('ZREM', ended_set, id) end
end
return #old
