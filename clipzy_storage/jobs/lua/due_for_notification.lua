-- ARGV: whether the broker's list is empty (1 or 0), age in ms after which a lost hint is likely, age in ms after which
-- a job is hinted again whatever the list says. Answers the ids that want a hint, oldest first: at most 100 that were
-- delayed and are due, and at most 100 whose last hint, the score in the queued set, is so old.
local age_ms = tonumber(ARGV[1] == '1' and ARGV[2] or ARGV[3])
local ids = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', delayed_set, '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', delayed_set, id)
  redis.call('ZADD', queued_set, now, id)
  ids[#ids + 1] = id
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', queued_set, '-inf', now - age_ms, 'LIMIT', 0, 100)) do
  redis.call('ZADD', queued_set, now, id)
  ids[#ids + 1] = id
end
return ids
