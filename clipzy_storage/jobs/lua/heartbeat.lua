-- ARGV: id, token, lease in ms, percent, stage. Answers 'held' while the job is the caller's, 'cancel' where it is wanted
-- no more, or 'lost'.
-- An expired lease that nobody has taken over is simply renewed.
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
