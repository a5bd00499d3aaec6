-- ARGV: id, token, reason (preempted, transient or crashed), delay in ms, message for a job that fails by it.
-- Answers 'queued', 'failed' (decided, to be concluded by the caller) or '' where the job is not the caller's.
local id, token, reason, delay_ms, message = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
if get(id, 'token') ~= token then return '' end
if get(id, 'released_token') == token then
  return get(id, 'state') == 'queued' and 'queued' or 'failed'
end
if get(id, 'state') ~= 'running' then return '' end
redis.call('HSET', job_key(id), 'released_token', token)
local counter = reason == 'crashed' and 'crashed' or 'released'
local times = redis.call('HINCRBY', job_key(id), counter, 1)
if times >= (counter == 'crashed' and MAX_CRASHED or MAX_RELEASED) then
  decide_failed(id, 'PROCESSING_FAILED', message)
  return 'failed'
end
enqueue(id, delay_ms)
return 'queued'
