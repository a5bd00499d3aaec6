-- ARGV: how many, lease in ms, token. Takes as many jobs that are due for their webhooks under leases. Answers their ids.
local limit, lease_ms, token = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local found = redis.call('ZRANGEBYSCORE', deliveries_due, '-inf', now, 'LIMIT', 0, limit)
for _, id in ipairs(found) do
  redis.call('ZADD', deliveries_due, now + lease_ms, id)
  redis.call('HSET', deliveries_held, id, token)
end
return found
