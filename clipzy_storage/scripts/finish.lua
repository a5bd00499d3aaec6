-- ARGV: id, token. Makes the decided end visible. Answers the record, or {} where the job is not the caller's.
local id, token = ARGV[1], ARGV[2]
if get(id, 'token') ~= token then return {} end
if get(id, 'state') == 'committing' then
  local outcome = get(id, 'outcome')
  move(id, outcome)
  set(id, 'stage', '')
  if outcome == 'completed' then set(id, 'progress', 100) end
  redis.call('ZREM', lease_set, id)
  redis.call('HDEL', job_key(id), 'suspect_ms', 'holder')
end
return VISIBLE[get(id, 'state')] ~= 'processing' and whole(id) or {}
