-- Shared by every transition; together these files are the only definition of a job's states.
--
--   (none) -submit-> queued -claim-> running -commit/fail-> committing -finish-> completed | failed | cancelled
--                      ^---- release, reap ----'             (outcome fixed; being published and made durable)
--   queued or running -cancel-> committing; restore creates a record from storage, forget deletes one.
--
-- A caller sees running and committing alike as "processing". All times are those of Redis, in milliseconds.
-- A script may be sent twice: it answers the second time as it did the first, and changes nothing. Only the answers of
-- reap, due_for_notification and claim_deliveries may be lost; the leases and notifications that they gave out expire and
-- are given again.
--
-- Keys, each after the prefix:
--   job:{id}               hash    the record: record (JSON of what never changes), state, token, attempt, progress, …
--   job:{id}:events        stream  what a caller saw of the job, one entry per change
--   jobs:queued            zset    waiting jobs of the queue interactive by the time of their last notification
--   jobs:queued:batch      zset    those of the queue batch
--   jobs:waiting           zset    those of interactive by the time since which they wait for a worker
--   jobs:waiting:batch     zset    those of batch
--   jobs:waiting:sums      hash    for each queue: bytes of their videos, and how many have videos of unknown size
--   jobs:speed             hash    jobs, bytes and ms of the latest analyses, the older ones with less weight
--   jobs:delayed           zset    waiting jobs of both queues by the time at which they are due
--   jobs:parked            zset    waiting jobs whose owner has as many running ones as it may, by age
--   jobs:parked:of:{owner} zset    those of one owner, those of the queue batch after the others
--   jobs:parked:owners     set     owners that may have parked jobs
--   jobs:leases            zset    held jobs by the expiry of their lease
--   jobs:ended             zset    finished jobs by the time they finished
--   jobs:of:{owner}        zset    an owner's jobs by age; with :{status} those of one visible status
--   video:{id}:jobs        set     unfinished jobs over the video
--   video:{id}:gone        string  the video is deleted: new jobs over it are refused
--   owner:{owner}:stored   hash    bytes in storage of each of the owner's videos and results, by the id of video or job
--   owner:{owner}:bytes    string  their sum
--   owner:{owner}:uploads  zset    uploads in progress by the time at which they count no more: their front end is gone,
--                                  or nothing has come for so long
--   upload:{id}:lock       string  token of the request that writes the upload
--   upload:{id}:wanted     string  exists for a while after another request was refused the lock
--   stored:owners          set     owners of whom anything was ever counted, or who had a job
--   stored:counting        set     counts in progress: what is deleted meanwhile stays in the hash as 0 bytes
--   stored:counted         string  they have been counted since this Redis was started
--   idem:{owner}:{key}     string  fingerprint of the first request under an Idempotency-Key, and the id it created
--   recipe:{cache key}     zset    finished jobs by result cache key
--   fence                  counter of tokens
--   epoch                  string  run id of the server under which the records were reconciled with storage
--   turn:{name}            string  locks of the janitor and the reaper
--   webhooks:due           zset    finished jobs whose end is to be delivered to their webhook, by the time at which it is
--                                  due; by the expiry of its lease while a process delivers it
--   webhooks:held          hash    token of that process, by job
--   access:used            hash    day of the last use of each API key, by its id
--   metrics:counts         hash    sums of what was counted for /metrics; all others are added by add_counts of the fleet
local prefix = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local MAX_LOST, MAX_CRASHED, MAX_PREEMPTED = 3, 2, 20
local MAX_CACHED = 8
local MAX_EVENTS, KEEP_EVENTS_SECONDS, KEEP_ANSWERS_SECONDS = 500, 3600, 24 * 3600
local FIRST_DELAY_MS, MAX_DELAY_MS, MAX_TRANSIENT_MS = 10 * 1000, 300 * 1000, 24 * 3600 * 1000
local VISIBLE = { queued = 'queued', running = 'processing', committing = 'processing',
                  completed = 'completed', failed = 'failed', cancelled = 'cancelled' }

local QUEUES = { 'interactive', 'batch' }
local queued_sets = { interactive = prefix .. 'jobs:queued', batch = prefix .. 'jobs:queued:batch' }
local delayed_set, lease_set, ended_set = prefix .. 'jobs:delayed', prefix .. 'jobs:leases', prefix .. 'jobs:ended'

local function job_key(id) return prefix .. 'job:' .. id end
local function events_key(id) return prefix .. 'job:' .. id .. ':events' end

-- The unfinished jobs over one video, which must not be deleted meanwhile.
local function users_key(video_id) return prefix .. 'video:' .. video_id .. ':jobs' end

local function get(id, field)
  return redis.call('HGET', job_key(id), field) or nil
end

local function number(id, field)
  return tonumber(get(id, field) or '0')
end

local function set(id, ...)
  redis.call('HSET', job_key(id), ...)
  redis.call('HINCRBY', job_key(id), 'revision', 1)
end

-- The queue of a job, and the size of its video, 0 if unknown. A record that names no queue is of the first one, and so is
-- a damaged record, which must not stop the others.
local function queue_of(id)
  local is_sound, record = pcall(cjson.decode, get(id, 'record') or '')
  if not is_sound or type(record) ~= 'table' then record = {} end
  return queued_sets[record.queue] and record.queue or QUEUES[1], tonumber(record.source_size_bytes) or 0
end

local parked_set, parked_owners = prefix .. 'jobs:parked', prefix .. 'jobs:parked:owners'
local function parked_key(owner) return prefix .. 'jobs:parked:of:' .. owner end

local waiting_sets = { interactive = prefix .. 'jobs:waiting', batch = prefix .. 'jobs:waiting:batch' }
local waiting_sums = prefix .. 'jobs:waiting:sums'

local function add_to_sums(queue, bytes, sign)
  redis.call('HINCRBY', waiting_sums, queue .. (bytes > 0 and ':bytes' or ':unsized'), sign * math.max(bytes, 1))
end

-- The job waits for a worker since then.
local function begin_waiting(id, queue, bytes, since)
  if redis.call('ZADD', waiting_sets[queue], 'NX', since, id) == 1 then add_to_sums(queue, bytes, 1) end
end

local function add_to_queue(id)
  local queue, bytes = queue_of(id)
  redis.call('ZADD', queued_sets[queue], now, id)
  begin_waiting(id, queue, bytes, now)
end

-- The job waits no more.
local function remove_from_queues(id)
  local queue, bytes = queue_of(id)
  redis.call('ZREM', queued_sets[queue], id)
  if redis.call('ZREM', waiting_sets[queue], id) == 1 then add_to_sums(queue, bytes, -1) end
  redis.call('ZREM', delayed_set, id)
  redis.call('ZREM', parked_set, id)
  redis.call('ZREM', parked_key(get(id, 'owner')), id)
end

-- The listings by owner, and by owner and visible status, follow every change of state.
local function list_key(owner, status)
  return prefix .. 'jobs:of:' .. owner .. (status and (':' .. status) or '')
end

local function count_of(owner, status) return redis.call('ZCARD', list_key(owner, status)) end

-- Larger than any order, and small enough that their sum is exact.
local AFTER_ALL_OTHERS = 4e15

-- Keep the job from the queues until `unpark` returns it: workers then leave it alone, whose state stays queued.
local function park(id)
  local owner, order = get(id, 'owner'), number(id, 'order')
  if queue_of(id) ~= QUEUES[1] then order = order + AFTER_ALL_OTHERS end
  remove_from_queues(id)
  redis.call('ZADD', parked_set, order, id)
  redis.call('ZADD', parked_key(owner), order, id)
  redis.call('SADD', parked_owners, owner)
end

local function move(id, to)
  local from, owner = get(id, 'state'), get(id, 'owner')
  redis.call('ZREM', list_key(owner, VISIBLE[from]), id)
  redis.call('ZADD', list_key(owner, VISIBLE[to]), get(id, 'order'), id)
  set(id, 'state', to)
end

-- What a finished job keeps of its record: what clients see, and what repeated calls are answered with. Most of it goes
-- into one field, since each field costs more than its value. A hash that only lost fields would keep their room.
local KEPT_FIELDS = { 'record', 'owner', 'state', 'token', 'revision', 'expired' }
local FINAL_FIELDS = { 'created_ms', 'started_ms', 'finished_ms', 'attempt', 'progress', 'attempt_folder', 'error_code',
  'error_stage', 'error_message', 'pipeline_version', 'recipe' }

local function values_of(id, names)
  local found = {}
  for i, value in ipairs(redis.call('HMGET', job_key(id), unpack(names))) do
    if value and value ~= '' then found[names[i]] = value end
  end
  return found
end

local function compact(id)
  local kept, flat = values_of(id, KEPT_FIELDS), {}
  kept.final = cjson.encode(values_of(id, FINAL_FIELDS))
  for name, value in pairs(kept) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call('DEL', job_key(id))
  redis.call('HSET', job_key(id), unpack(flat))
end

-- A field of a job that may have finished.
local function final_field(id, name)
  local final = get(id, 'final')
  return final and cjson.decode(final)[name] or get(id, name)
end

-- What a caller may see of a job, at every change of it. The stream is bounded, and expires after the job has finished.
local function log_event(id)
  local seen = redis.call('HMGET', job_key(id), 'state', 'progress', 'stage', 'attempt')
  redis.call('XADD', events_key(id), 'MAXLEN', '~', MAX_EVENTS, '*', 'status', VISIBLE[seen[1]], 'progress', seen[2],
    'stage', seen[3] or '', 'attempt', seen[4])
end

local function is_final(state) return state == 'completed' or state == 'failed' or state == 'cancelled' end

local function holds(id, token, ...)
  if get(id, 'token') ~= token then return false end
  local state = get(id, 'state')
  for _, allowed in ipairs({...}) do
    if state == allowed then return true end
  end
  return false
end

local function new_token(id, nonce)
  -- The counter alone could repeat after a failover to a replica that lags; the nonce cannot.
  local token = redis.call('INCR', prefix .. 'fence') .. '-' .. nonce
  redis.call('HSET', job_key(id), 'token', token)
  return token
end

-- Count for /metrics: the name and label values of a counter.
local function count(...)
  redis.call('HINCRBY', prefix .. 'metrics:counts', table.concat({...}, '|'), 1)
end

-- How fast one slot of a worker is, of late: each analysis weighs 0.95 times as much as the one after it.
local speed = prefix .. 'jobs:speed'
local function note_speed(bytes, ms)
  local known = redis.call('HMGET', speed, 'jobs', 'bytes', 'ms')
  local function with(index, one) return string.format('%.3f', 0.95 * tonumber(known[index] or '0') + one) end
  redis.call('HSET', speed, 'jobs', with(1, 1), 'bytes', with(2, bytes), 'ms', with(3, ms))
end

-- Return the job to the queue. The caller notifies workers, except of a delayed job: due_for_notification.lua does.
local function enqueue(id, delay_ms)
  move(id, 'queued')
  set(id, 'stage', '')
  redis.call('HSET', job_key(id), 'not_before_ms', now + delay_ms)
  redis.call('HDEL', job_key(id), 'suspect_ms', 'holder', 'claimed_ms')
  redis.call('ZREM', lease_set, id)
  if delay_ms > 0 then
    redis.call('ZADD', delayed_set, now + delay_ms, id)
  else
    add_to_queue(id)
  end
  log_event(id)
end

-- Fix the outcome. The holder of the lease completes the job, and another process may after it.
local function begin_completion(id, outcome, ...)
  local seen_before = VISIBLE[get(id, 'state')]
  move(id, 'committing')
  set(id, 'outcome', outcome, 'finished_ms', now, ...)
  if seen_before ~= VISIBLE.committing then log_event(id) end
end

-- A job whose cancellation was requested does not fail: it ends as the caller was promised.
local function begin_failed_completion(id, code, message)
  if get(id, 'cancel') then return begin_completion(id, 'cancelled') end
  begin_completion(id, 'failed', 'error_code', code, 'error_stage', get(id, 'stage') or '', 'error_message', message)
end

-- The result cache: finished jobs by result cache key. The latest are kept, since they will exist for longest.
local function cache_set(cache_key) return prefix .. 'recipe:' .. cache_key end

local function cache_result(id, cache_key, pipeline_version)
  if pipeline_version ~= '' then redis.call('HSET', job_key(id), 'pipeline_version', pipeline_version) end
  if cache_key == '' then return end
  redis.call('HSET', job_key(id), 'recipe', cache_key)
  redis.call('ZADD', cache_set(cache_key), number(id, 'finished_ms'), id)
  redis.call('ZREMRANGEBYRANK', cache_set(cache_key), 0, -MAX_CACHED - 1)
end

local function uncache(id)
  local cache_key = final_field(id, 'recipe')
  if cache_key then redis.call('ZREM', cache_set(cache_key), id) end
end

local deliveries_due, deliveries_held = prefix .. 'webhooks:due', prefix .. 'webhooks:held'

-- Have the end of a job delivered now, unless it is scheduled already.
local function schedule_delivery(id) redis.call('ZADD', deliveries_due, 'NX', now, id) end

local function end_delivery(id)
  redis.call('ZREM', deliveries_due, id)
  redis.call('HDEL', deliveries_held, id)
end

-- Make the outcome visible, and take the job, which waits no more, out of the listings of unfinished ones. Returns whether
-- it has a webhook.
local function finish_as(id, outcome, cache_key, pipeline_version)
  local record = cjson.decode(get(id, 'record'))
  move(id, outcome)
  set(id, 'stage', '')
  if outcome == 'completed' then set(id, 'progress', 100) end
  redis.call('ZREM', lease_set, id)
  redis.call('HDEL', job_key(id), 'suspect_ms', 'holder', 'claimed_ms', 'cancel')
  redis.call('SREM', users_key(record.video_id), id)
  redis.call('ZADD', ended_set, number(id, 'finished_ms'), id)
  log_event(id)
  cache_result(id, cache_key, pipeline_version)
  compact(id)
  redis.call('EXPIRE', events_key(id), KEEP_EVENTS_SECONDS)
  return record.webhook_url ~= nil
end

local function create(id, owner, storage_id, record, order, created_ms, revision)
  redis.call('HSET', job_key(id), 'order', order, 'owner', owner, 'storage_id', storage_id, 'record', record,
    'state', 'queued', 'created_ms', created_ms, 'attempt', 0, 'progress', 0, 'revision', revision)
  redis.call('SADD', prefix .. 'stored:owners', owner)
  redis.call('ZADD', list_key(owner), order, id)
  redis.call('ZADD', list_key(owner, 'queued'), order, id)
  add_to_queue(id)
  redis.call('SADD', users_key(cjson.decode(record).video_id), id)
end

local function forget(id)
  local owner = get(id, 'owner')
  uncache(id)
  redis.call('ZREM', list_key(owner), id)
  redis.call('ZREM', list_key(owner, VISIBLE[get(id, 'state')]), id)
  remove_from_queues(id)
  end_delivery(id)
  for _, listing in ipairs({ lease_set, ended_set }) do redis.call('ZREM', listing, id) end
  redis.call('SREM', users_key(cjson.decode(get(id, 'record')).video_id), id)
  redis.call('DEL', job_key(id), events_key(id))
end

-- Whether there are fewer unfinished jobs than this, '' being any number.
local function has_room(limit)
  local unfinished = redis.call('ZCARD', delayed_set) + redis.call('ZCARD', parked_set) + redis.call('ZCARD', lease_set)
  for _, waiting in pairs(queued_sets) do unfinished = unfinished + redis.call('ZCARD', waiting) end
  return limit == '' or unfinished < tonumber(limit)
end

-- How many unfinished jobs the owner has, if there are as many as this or more, '' being any number; otherwise nil.
local function unfinished_at_limit(owner, limit)
  local count = count_of(owner, 'queued') + count_of(owner, 'processing')
  return limit ~= '' and count >= tonumber(limit) and count or nil
end

local function answer_key(owner, key) return prefix .. 'idem:' .. owner .. ':' .. key end

-- The first request under this Idempotency-Key. Answers 'new', 'same' or 'mismatch', the id that it created, and whether
-- the key itself is new.
local function recall(owner, key, fingerprint, id)
  if key == '' then return 'new', id, true end
  local answer = answer_key(owner, key)
  local is_new = redis.call('SET', answer, fingerprint .. ' ' .. id, 'NX', 'EX', KEEP_ANSWERS_SECONDS)
  local first = redis.call('GET', answer)
  local separator = string.find(first, ' ', 1, true)
  local first_id = string.sub(first, separator + 1)
  if string.sub(first, 1, separator - 1) ~= fingerprint then return 'mismatch', first_id, false end
  return first_id == id and 'new' or 'same', first_id, is_new and true or false
end

local function stored_key(owner) return prefix .. 'owner:' .. owner .. ':stored' end
local function bytes_key(owner) return prefix .. 'owner:' .. owner .. ':bytes' end

local function uploads_key(owner) return prefix .. 'owner:' .. owner .. ':uploads' end

-- How many uploads of the owner are being received.
local function count_uploads(owner)
  return redis.call('ZCOUNT', uploads_key(owner), '(' .. now, '+inf')
end

-- The upload counts until then, unless it is held again or ended.
local function hold_upload(owner, id, ttl_ms)
  redis.call('ZREMRANGEBYSCORE', uploads_key(owner), '-inf', now)
  redis.call('ZADD', uploads_key(owner), now + ttl_ms, id)
  local last = redis.call('ZRANGE', uploads_key(owner), -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIRE', uploads_key(owner), string.format('%.0f', last - now))
end

local function upload_lock_key(id) return prefix .. 'upload:' .. id .. ':lock' end
local function upload_wanted_key(id) return prefix .. 'upload:' .. id .. ':wanted' end

-- How many bytes a video or result counts with: 0 if it is deleted, or not known.
local function bytes_of(owner, id) return tonumber(redis.call('HGET', stored_key(owner), id) or '0') end

-- How many bytes a video or result has; 0 once it is deleted. What is set is absolute, so a repeated call changes nothing.
local function set_stored(owner, id, bytes)
  local before = bytes_of(owner, id)
  redis.call('HDEL', stored_key(owner), id)  -- first: a Redis without room refuses no deletion, nor what follows it
  if bytes > 0 then redis.call('SADD', prefix .. 'stored:owners', owner) end
  if bytes > 0 or redis.call('EXISTS', prefix .. 'stored:counting') == 1 then
    redis.call('HSET', stored_key(owner), id, bytes)
  end
  if bytes ~= before then redis.call('INCRBY', bytes_key(owner), bytes - before) end
end

-- How many bytes the owner has stored, if these are as many as the limit, or would be more with this video, '' being any
-- number; otherwise nil.
local function stored_at_limit(owner, video_id, bytes, limit)
  if limit == '' then return nil end
  local total = tonumber(redis.call('GET', bytes_key(owner)) or '0')
  local more = bytes_of(owner, video_id) > 0 and 0 or bytes
  return (total >= tonumber(limit) or total + more > tonumber(limit)) and total or nil
end

-- Whether the records were reconciled with storage since this server started; otherwise storage may know more.
local function is_reconciled()
  return redis.call('GET', prefix .. 'epoch') == string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
end

local function whole(id) return redis.call('HGETALL', job_key(id)) end
