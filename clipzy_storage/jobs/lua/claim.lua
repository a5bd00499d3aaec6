-- ARGV: id, nonce of this claim, holder (JSON), storage id, lease in ms, first stage of the analysis, latest supported
-- schema version, how many jobs of its owner may be held, or '' for any number.
-- Answers {token, record…, whether the records are reconciled (1 or 0), ms since the job was created}, or {''} if the job
-- is not queued, not due, stored elsewhere or of a later schema version, or if so many are held: it is parked then.
local id, nonce, holder, storage_id, lease_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local state = get(id, 'state')
local reconciled = is_reconciled() and 1 or 0
if state == 'running' and get(id, 'nonce') == nonce then
  return { get(id, 'token'), whole(id), reconciled, now - number(id, 'created_ms') }
end
if state ~= 'queued' or get(id, 'storage_id') ~= storage_id or now < number(id, 'not_before_ms') then
  return { '' }
end
local about = cjson.decode(get(id, 'record'))
if (tonumber(about.schema_version) or 0) > tonumber(ARGV[7]) then return { '' } end
if ARGV[8] ~= '' and count_of(get(id, 'owner'), 'processing') >= tonumber(ARGV[8]) then
  park(id)
  return { '' }
end
local token = new_token(id, nonce)
move(id, 'running')
redis.call('HINCRBY', job_key(id), 'attempt', 1)
redis.call('HSETNX', job_key(id), 'started_ms', now)
set(id, 'nonce', nonce, 'holder', holder, 'claimed_ms', now, 'stage', about.source_url and 'import' or ARGV[6])
remove_from_queues(id)
redis.call('ZADD', lease_set, now + lease_ms, id)
log_event(id)
return { token, whole(id), reconciled, now - number(id, 'created_ms') }
