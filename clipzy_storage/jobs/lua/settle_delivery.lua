-- ARGV: id, token, ms until the next attempt is due, or '' if there is none. Returns the lease. Answers 1, or 0 if another
-- process has it now.
local id, token, delay_ms = ARGV[1], ARGV[2], ARGV[3]
if redis.call('HGET', deliveries_held, id) ~= token then return 0 end
end_delivery(id)
if delay_ms ~= '' then redis.call('ZADD', deliveries_due, now + tonumber(delay_ms), id) end
return 1
