-- ARGV: whether the broker's list is empty (1 or 0), age in ms after which a lost hint is likely, age in ms after which
-- a job is hinted again whatever the list says. Answers the ids that want a new hint, at most 100, oldest first.
-- The score in the queued set is the time of a job's last hint.
local age_ms = tonumber(ARGV[1] == '1' and ARGV[2] or ARGV[3])
local ids = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', queued_set, '-inf', now - age_ms, 'LIMIT', 0, 100)) do
  if now >= number(id, 'not_before_ms') then
    redis.call('ZADD', queued_set, now, id)
    ids[#ids + 1] = id
  end
end
return ids
