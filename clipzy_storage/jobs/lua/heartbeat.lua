-- ARGV: id, token, lease in ms, percent, stage. Answers 'held', 'cancel' if cancellation was requested, or 'lost' if the
-- token does not hold the job. An expired lease that no other process has taken over is renewed.
local id, token, lease_ms, percent, stage = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
if not holds(id, token, 'running', 'committing') then return 'lost' end
redis.call('ZADD', lease_set, now + lease_ms, id)
redis.call('HDEL', job_key(id), 'suspect_ms')
percent = math.max(math.min(percent, 99), number(id, 'progress'))
if percent ~= number(id, 'progress') or get(id, 'stage') ~= stage then
  set(id, 'progress', percent, 'stage', stage)
  log_event(id)
end
return get(id, 'cancel') and 'cancel' or 'held'
