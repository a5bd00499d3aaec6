-- ARGV: id of a finished job, token, lease in ms. Takes its delivery under a lease, due or not. Answers 1, or 0 if another
-- process has it.
local id, token, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local holder = redis.call('HGET', deliveries_held, id)
local is_held = holder and tonumber(redis.call('ZSCORE', deliveries_due, id) or '0') > now
if is_held and holder ~= token then return 0 end
redis.call('ZADD', deliveries_due, now + lease_ms, id)
redis.call('HSET', deliveries_held, id, token)
return 1
