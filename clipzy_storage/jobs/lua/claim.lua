-- ARGV: id, nonce of this claim, holder (JSON), storage id, lease in ms, first stage, latest schema version that is known.
-- Answers {token, record…, whether the records were compared with storage since this server began (1 or 0), ms since the
-- job was made}, or {''}: it is not for the caller.
local id, nonce, holder, storage_id, lease_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local state = get(id, 'state')
local is_certain = is_current() and 1 or 0
if state == 'running' and get(id, 'nonce') == nonce then
  return { get(id, 'token'), whole(id), is_certain, now - number(id, 'created_ms') }
end
if state ~= 'queued' or get(id, 'storage_id') ~= storage_id or now < number(id, 'not_before_ms') then
  return { '' }
end
if (tonumber(cjson.decode(get(id, 'record')).schema_version) or 0) > tonumber(ARGV[7]) then return { '' } end
local token = new_token(id, nonce)
move(id, 'running')
redis.call('HINCRBY', job_key(id), 'attempt', 1)
redis.call('HSETNX', job_key(id), 'started_ms', now)
set(id, 'nonce', nonce, 'holder', holder, 'stage', ARGV[6])
redis.call('ZREM', queued_set, id)
redis.call('ZREM', delayed_set, id)
redis.call('ZADD', lease_set, now + lease_ms, id)
log_event(id)
return { token, whole(id), is_certain, now - number(id, 'created_ms') }
