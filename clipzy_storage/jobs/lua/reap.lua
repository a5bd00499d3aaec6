-- ARGV: grace in ms, lease in ms, nonce, whether expired leases count (1 or 0), then pairs (id, token) whose holder is
-- certainly gone.
-- Two phases: an expired lease first makes its job suspect; only one still silent after the grace is taken away.
-- Answers {(id, queue) pairs returned to their queue, (id, token) pairs that the caller must complete}.
local grace_ms, lease_ms, nonce = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local requeued, adopted = {}, {}

local function take(id)
  local state = get(id, 'state')
  if state == 'running' then count('clipzy_attempts_lost_total') end
  if state == 'running' and get(id, 'cancel') then
    begin_completion(id, 'cancelled')
  elseif state == 'running' and redis.call('HINCRBY', job_key(id), 'lost', 1) < MAX_LOST then
    enqueue(id, 0)
    requeued[#requeued + 1] = id
    requeued[#requeued + 1] = queue_of(id)
    return
  elseif state == 'running' then
    begin_failed_completion(id, 'WORKER_LOST', 'the worker was lost ' .. MAX_LOST .. ' times while it processed this job')
  elseif state ~= 'committing' then
    redis.call('ZREM', lease_set, id)
    return
  end
  adopted[#adopted + 1] = id
  adopted[#adopted + 1] = new_token(id, nonce)
  redis.call('ZADD', lease_set, now + lease_ms, id)
  redis.call('HDEL', job_key(id), 'suspect_ms', 'holder')
end

for i = 5, #ARGV, 2 do
  if holds(ARGV[i], ARGV[i + 1], 'running', 'committing') then take(ARGV[i]) end
end
local expired = ARGV[4] == '1' and redis.call('ZRANGEBYSCORE', lease_set, '-inf', now, 'LIMIT', 0, 100) or {}
for _, id in ipairs(expired) do
  local suspect = get(id, 'suspect_ms')
  if not suspect then
    redis.call('HSET', job_key(id), 'suspect_ms', now)
  elseif now - tonumber(suspect) >= grace_ms then
    take(id)
  end
end
return { requeued, adopted }
