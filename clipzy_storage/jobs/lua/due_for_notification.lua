-- ARGV: age in ms after which a notification may be lost, then how many the broker has: of interactive, of batch. Answers
-- pairs (id, queue) of waiting jobs, oldest first: at most 500 delayed ones whose time has come, and of each queue at most
-- 500 others, as many as lack a notification. Which ones do is unknown: those are taken whose last notification, the score
-- in the set of their queue, is oldest.
local age_ms, missing = tonumber(ARGV[1]), {}
for i, queue in ipairs(QUEUES) do
  missing[queue] = redis.call('ZCARD', queued_sets[queue]) - tonumber(ARGV[i + 1])
end
local found = {}
local function notify(id, queue)
  redis.call('ZADD', queued_sets[queue], now, id)
  found[#found + 1] = id
  found[#found + 1] = queue
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', delayed_set, '-inf', now, 'LIMIT', 0, 500)) do
  redis.call('ZREM', delayed_set, id)
  add_to_queue(id)
  notify(id, (queue_of(id)))
end
for _, queue in ipairs(QUEUES) do
  local limit = math.max(math.min(missing[queue], 500), 0)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', queued_sets[queue], '-inf', now - age_ms, 'LIMIT', 0, limit)) do
    notify(id, queue)
  end
end
return found
