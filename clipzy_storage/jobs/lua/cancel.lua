-- ARGV: id, nonce of this request, lease in ms. Answers {verdict, token}:
-- 'pending': it was waiting, and the caller completes it | 'requested': its holder ends it | 'finished' | 'unknown'
local id, nonce, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local state = get(id, 'state')
if not state then return { 'unknown', '' } end
if state == 'committing' and get(id, 'outcome') == 'cancelled' then
  if get(id, 'nonce') == nonce then return { 'pending', get(id, 'token') } end
  return { 'requested', '' }
end
if state == 'running' then
  redis.call('HSET', job_key(id), 'cancel', 1)
  return { 'requested', '' }
end
if state ~= 'queued' then return { 'finished', '' } end
local token = new_token(id, nonce)
redis.call('HSET', job_key(id), 'nonce', nonce, 'cancel', 1)
begin_completion(id, 'cancelled')
remove_from_queues(id)
redis.call('ZADD', lease_set, now + lease_ms, id)
return { 'pending', token }
