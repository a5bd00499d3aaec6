-- ARGV: id, token, lease in ms, percent, stage. Answers 1 while the job is the caller's, else 0.
-- An expired lease that nobody has taken over is simply renewed.
local id, token, lease_ms, percent, stage = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
if not holds(id, token, 'running', 'committing') then return 0 end
redis.call('ZADD', lease_set, now + lease_ms, id)
redis.call('HDEL', job_key(id), 'suspect_ms')
percent = math.min(percent, 99)
if percent > number(id, 'progress') then set(id, 'progress', percent) end
if get(id, 'stage') ~= stage then set(id, 'stage', stage) end
return 1
