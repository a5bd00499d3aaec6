-- Shared by every transition; together these files are the only table of a job's states.
--
--   (none) -submit-> queued -claim-> running -commit/fail-> committing -finish-> completed | failed | cancelled
--                      ^---- release, reap ----'               (decided; made durable and published meanwhile)
--   queued or running -cancel-> committing; restore makes a record of what storage knows, forget removes one.
--
-- A caller sees running and committing alike as "processing". All times are Redis' own, in milliseconds.
-- A script may be sent twice: each answers the second time as it did the first, and changes nothing then. Only what
-- reap and stale answered may be lost; the leases and hints that they gave out then run out and are given out again.
local prefix = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local MAX_LOST, MAX_CRASHED, MAX_PREEMPTED = 3, 2, 20
local MAX_ALIKE = 8
local MAX_EVENTS, KEEP_EVENTS_SECONDS, KEEP_ANSWERS_SECONDS = 500, 24 * 3600, 24 * 3600
local FIRST_DELAY_MS, LONGEST_DELAY_MS, LONGEST_TROUBLE_MS = 10 * 1000, 300 * 1000, 24 * 3600 * 1000
local VISIBLE = { queued = 'queued', running = 'processing', committing = 'processing',
                  completed = 'completed', failed = 'failed', cancelled = 'cancelled' }

local queued_set, delayed_set, lease_set = prefix .. 'jobs:queued', prefix .. 'jobs:delayed', prefix .. 'jobs:leases'
local ended_set = prefix .. 'jobs:ended'

local function job_key(id) return prefix .. 'job:' .. id end
local function events_key(id) return prefix .. 'job:' .. id .. ':events' end

-- The unfinished jobs over one video, which must not be removed under them.
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

-- The listings by owner, and by owner and visible status, follow every change of state.
local function list_key(owner, status)
  return prefix .. 'jobs:of:' .. owner .. (status and (':' .. status) or '')
end

local function move(id, to)
  local from, owner = get(id, 'state'), get(id, 'owner')
  redis.call('ZREM', list_key(owner, VISIBLE[from]), id)
  redis.call('ZADD', list_key(owner, VISIBLE[to]), get(id, 'order'), id)
  set(id, 'state', to)
end

-- What a caller may see of a job, at every change of it. The stream is bounded, and goes some time after its job's end.
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

-- Back into the queue. The caller sends the hint, but for a delayed job: its hint comes by stale.lua when it is due.
local function enqueue(id, delay_ms)
  move(id, 'queued')
  set(id, 'stage', '')
  redis.call('HSET', job_key(id), 'not_before_ms', now + delay_ms)
  redis.call('HDEL', job_key(id), 'suspect_ms', 'holder')
  redis.call('ZREM', lease_set, id)
  if delay_ms > 0 then
    redis.call('ZADD', delayed_set, now + delay_ms, id)
  else
    redis.call('ZADD', queued_set, now, id)
  end
  log_event(id)
end

-- The outcome is fixed from here on; whoever holds the lease carries it out, and any other may after it.
local function decide(id, outcome, ...)
  local seen_before = VISIBLE[get(id, 'state')]
  move(id, 'committing')
  set(id, 'outcome', outcome, 'finished_ms', now, ...)
  if seen_before ~= VISIBLE.committing then log_event(id) end
end

-- A job that somebody wants cancelled does not fail any more: it ends as the caller was told that it would.
local function decide_failed(id, code, message)
  if get(id, 'cancel') then return decide(id, 'cancelled') end
  decide(id, 'failed', 'error_code', code, 'error_stage', get(id, 'stage') or '', 'error_message', message)
end

-- Finished jobs are known by what their results are made of, so that others which ask for the same can be given them.
-- The latest are kept: they will be there for longest.
local function recipe_key(recipe) return prefix .. 'recipe:' .. recipe end

local function offer(id, recipe, pipeline_version)
  if pipeline_version ~= '' then redis.call('HSET', job_key(id), 'pipeline_version', pipeline_version) end
  if recipe == '' then return end
  redis.call('HSET', job_key(id), 'recipe', recipe)
  redis.call('ZADD', recipe_key(recipe), number(id, 'finished_ms'), id)
  redis.call('ZREMRANGEBYRANK', recipe_key(recipe), 0, -MAX_ALIKE - 1)
end

local function withdraw(id)
  local recipe = get(id, 'recipe')
  if recipe then redis.call('ZREM', recipe_key(recipe), id) end
end

-- What was decided becomes visible, and the job leaves everything that unfinished ones are listed in.
local function end_as(id, outcome)
  move(id, outcome)
  set(id, 'stage', '')
  if outcome == 'completed' then set(id, 'progress', 100) end
  for _, waiting in ipairs({ queued_set, delayed_set, lease_set }) do redis.call('ZREM', waiting, id) end
  redis.call('HDEL', job_key(id), 'suspect_ms', 'holder', 'cancel')
  redis.call('SREM', users_key(cjson.decode(get(id, 'record')).video_id), id)
  redis.call('ZADD', ended_set, number(id, 'finished_ms'), id)
  log_event(id)
  redis.call('EXPIRE', events_key(id), KEEP_EVENTS_SECONDS)
end

local function create(id, owner, storage_id, record, order, created_ms, revision)
  redis.call('HSET', job_key(id), 'order', order, 'owner', owner, 'storage_id', storage_id, 'record', record,
    'state', 'queued', 'created_ms', created_ms, 'attempt', 0, 'progress', 0, 'revision', revision)
  redis.call('ZADD', list_key(owner), order, id)
  redis.call('ZADD', list_key(owner, 'queued'), order, id)
  redis.call('ZADD', queued_set, now, id)
  redis.call('SADD', users_key(cjson.decode(record).video_id), id)
end

local function forget(id)
  local owner = get(id, 'owner')
  withdraw(id)
  redis.call('ZREM', list_key(owner), id)
  redis.call('ZREM', list_key(owner, VISIBLE[get(id, 'state')]), id)
  for _, listing in ipairs({ queued_set, delayed_set, lease_set, ended_set }) do redis.call('ZREM', listing, id) end
  redis.call('SREM', users_key(cjson.decode(get(id, 'record')).video_id), id)
  redis.call('DEL', job_key(id), events_key(id))
end

-- Who first sent this Idempotency-Key, with what, and what came of it. Answers 'new', 'same' or 'mismatch', the id, and
-- whether the key itself is new.
local function recall(owner, key, fingerprint, id)
  if key == '' then return 'new', id, true end
  local answer_key = prefix .. 'idem:' .. owner .. ':' .. key
  local is_new = redis.call('SET', answer_key, fingerprint .. ' ' .. id, 'NX', 'EX', KEEP_ANSWERS_SECONDS)
  local first = redis.call('GET', answer_key)
  local separator = string.find(first, ' ', 1, true)
  local first_id = string.sub(first, separator + 1)
  if string.sub(first, 1, separator - 1) ~= fingerprint then return 'mismatch', first_id, false end
  return first_id == id and 'new' or 'same', first_id, is_new and true or false
end

-- Whether the records were compared with storage since this server began; otherwise storage may know more than they do.
local function is_current()
  return redis.call('GET', prefix .. 'epoch') == string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
end

local function whole(id) return redis.call('HGETALL', job_key(id)) end
