-- What storage knows of a job that Redis has lost, or knows only as it was before.
-- ARGV: id, owner, storage id, the unchanging part as JSON, created in ms, whether another job with its Idempotency-Key
--       makes it void (1 or 0), state: queued or a final one. With a final one also: attempt, percent, started in ms or '',
--       finished in ms, error code, stage and message, whether its result has expired (1 or 0).
-- Answers 'restored', 'ended' where Redis thought it unfinished, 'known' or 'void'.
local id, owner, storage_id, record, created_ms, may_be_void, state = unpack(ARGV)
local before = get(id, 'state')
-- Decided already: whoever holds it, or the reaper, finds the durable record and ends it by that.
if is_final(before) or before == 'committing' or (before and state == 'queued') then return 'known' end
local wanted = cjson.decode(record)
if type(wanted.idempotency_key) == 'string' and now - tonumber(created_ms) < KEEP_ANSWERS_SECONDS * 1000 then
  local verdict = recall(owner, wanted.idempotency_key, wanted.idempotency_fingerprint, id)
  if verdict ~= 'new' and may_be_void == '1' then return 'void' end
end
if not before then
  -- The revision begins where no earlier record of this job can have come, so that no ETag means two things.
  create(id, owner, storage_id, record, tonumber(created_ms) * 1000, created_ms, now)
  redis.call('HSET', job_key(id), 'restored', 1)
end
if state ~= 'queued' then
  set(id, 'attempt', ARGV[8], 'progress', ARGV[9], 'finished_ms', ARGV[11], 'outcome', state, 'error_code', ARGV[12],
    'error_stage', ARGV[13], 'error_message', ARGV[14])
  if ARGV[10] ~= '' then set(id, 'started_ms', ARGV[10]) end
  if ARGV[15] == '1' then set(id, 'expired', 1) end
  redis.call('HDEL', job_key(id), 'token', 'nonce')
  end_as(id, state)
  if not before then redis.call('DEL', events_key(id)) end  -- nobody has followed this record
else
  log_event(id)
end
return before and 'ended' or 'restored'
