-- ARGV: whether the queue is empty (1 or 0), age in ms after which a notification is probably lost, age in ms after which a
-- job is due whatever the queue holds. Answers ids of waiting jobs, oldest first: at most 100 delayed ones whose time has
-- come, and at most 100 whose last notification, the score in the queued set, is that old.
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
