-- ARGV: how many notifications the broker has, age in ms after which one may be lost. Answers ids of waiting jobs, oldest
-- first: at most 500 delayed ones whose time has come, and at most 500 others, as many as lack a notification. Which ones
-- do is unknown: those are taken whose last notification, the score in the queued set, is oldest.
local missing, age_ms = redis.call('ZCARD', queued_set) - tonumber(ARGV[1]), tonumber(ARGV[2])
local ids = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', delayed_set, '-inf', now, 'LIMIT', 0, 500)) do
  redis.call('ZREM', delayed_set, id)
  redis.call('ZADD', queued_set, now, id)
  ids[#ids + 1] = id
end
local limit = math.max(math.min(missing, 500), 0)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', queued_set, '-inf', now - age_ms, 'LIMIT', 0, limit)) do
  redis.call('ZADD', queued_set, now, id)
  ids[#ids + 1] = id
end
return ids
