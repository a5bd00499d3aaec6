-- ARGV: id, token, reason (preempted, transient or crashed), message for a job that fails by it.
-- Crashes and preemptions are counted. After transient errors the job waits longer each time, for up to a day in all.
-- Answers 'queued', 'delayed', 'pending' (failed or cancelled; the caller completes it) or '' if the token does not hold
-- the job.
local id, token, reason, message = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if get(id, 'token') ~= token then return '' end
if get(id, 'released_token') == token then
  if get(id, 'state') ~= 'queued' then return 'pending' end
  return now < number(id, 'not_before_ms') and 'delayed' or 'queued'
end
if get(id, 'state') ~= 'running' then return '' end
redis.call('HSET', job_key(id), 'released_token', token)
local times = redis.call('HINCRBY', job_key(id), reason, 1)
local delay_ms, is_enough = 0, false
if reason == 'transient' then
  delay_ms = math.min(FIRST_DELAY_MS * 2 ^ (times - 1), MAX_DELAY_MS)
  is_enough = now - number(id, 'created_ms') > MAX_TRANSIENT_MS
else
  is_enough = times >= (reason == 'crashed' and MAX_CRASHED or MAX_PREEMPTED)
end
if is_enough or get(id, 'cancel') then
  begin_failed_completion(id, 'PROCESSING_FAILED', message)
  return 'pending'
end
enqueue(id, delay_ms)
return delay_ms > 0 and 'delayed' or 'queued'
