-- ARGV: id, owner, storage id, the record's unchanging part as JSON
local id, owner, storage_id, record = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', job_key(id)) == 0 then
  local order = clock[1] * 1000000 + clock[2]  -- finer than the milliseconds shown, so that listings keep the order
  redis.call('HSET', job_key(id), 'order', order, 'owner', owner, 'storage_id', storage_id, 'record', record,
    'state', 'queued', 'created_ms', now, 'attempt', 0, 'progress', 0, 'revision', 1)
  redis.call('ZADD', list_key(owner), order, id)
  redis.call('ZADD', list_key(owner, 'queued'), order, id)
  redis.call('ZADD', queued_set, now, id)
end
return whole(id)
