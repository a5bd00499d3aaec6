-- ARGV: id, token, reason (preempted, transient or crashed), message for a job that fails by it.
-- Crashes and stops are counted. Trouble that passes (transient) is waited out for longer each time, up to a day.
-- Answers 'queued', 'delayed', 'decided' (failed or cancelled, to be concluded by the caller) or '' where it is not the caller's.
local id, token, reason, message = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if get(id, 'token') ~= token then return '' end
if get(id, 'released_token') == token then
  if get(id, 'state') ~= 'queued' then return 'decided' end
  return now < number(id, 'not_before_ms') and 'delayed' or 'queued'
end
if get(id, 'state') ~= 'running' then return '' end
redis.call('HSET', job_key(id), 'released_token', token)
local times = redis.call('HINCRBY', job_key(id), reason, 1)
local delay_ms, is_enough = 0, false
if reason == 'transient' then
  delay_ms = math.min(FIRST_DELAY_MS * 2 ^ (times - 1), LONGEST_DELAY_MS)
  is_enough = now - number(id, 'created_ms') > LONGEST_TROUBLE_MS
else
  is_enough = times >= (reason == 'crashed' and MAX_CRASHED or MAX_PREEMPTED)
end
if is_enough or get(id, 'cancel') then
  decide_failed(id, 'PROCESSING_FAILED', message)
  return 'decided'
end
enqueue(id, delay_ms)
return delay_ms > 0 and 'delayed' or 'queued'
