-- Takes over what storage knows of a job that Redis has lost, or was set back for.
-- ARGV: id, owner, storage id, the unchanging part as JSON, created in ms, state: queued or a final one. With a final one
--       also: attempt, percent, started in ms or '', finished in ms, error code, stage and message, whether its result has
--       expired (1 or 0), result cache key or '', pipeline version.
-- An end of the last days is due for the job's webhook once more: whether it was delivered is known in storage.
-- Answers 'restored', 'ended' if the record was unfinished, or 'known'.
local id, owner, storage_id, record, created_ms, state = unpack(ARGV)
local DELIVER_AFTER_LOSS_MS = 3 * 24 * 3600 * 1000
local before = get(id, 'state')
if is_final(before) or (before and state == 'queued') then return 'known' end
local wanted = cjson.decode(record)
if type(wanted.idempotency_key) == 'string' and now - tonumber(created_ms) < KEEP_ANSWERS_SECONDS * 1000 then
  recall(owner, wanted.idempotency_key, wanted.idempotency_fingerprint, id)
end
if not before then
  -- The revision begins where no earlier record of this job can have come, so that no ETag means two things.
  create(id, owner, storage_id, record, tonumber(created_ms) * 1000, created_ms, now)
  redis.call('HSET', job_key(id), 'restored', 1)
end
if state ~= 'queued' then
  set(id, 'attempt', ARGV[7], 'progress', ARGV[8], 'finished_ms', ARGV[10], 'outcome', state, 'error_code', ARGV[11],
    'error_stage', ARGV[12], 'error_message', ARGV[13])
  if ARGV[9] ~= '' then set(id, 'started_ms', ARGV[9]) end
  if ARGV[14] == '1' then set(id, 'expired', 1) end
  remove_from_queues(id)
  -- A process that is completing it with the same record finds it finished.
  local has_webhook = finish_as(id, state, ARGV[15], ARGV[16])
  if has_webhook and now - tonumber(ARGV[10]) < DELIVER_AFTER_LOSS_MS then schedule_delivery(id) end
  if before then
    count('clipzy_jobs_finished_total', state, ARGV[11])
  else
    redis.call('DEL', events_key(id))  -- no client has followed this record
  end
else
  log_event(id)
end
return before and 'ended' or 'restored'
