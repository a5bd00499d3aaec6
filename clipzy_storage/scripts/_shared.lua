-- Shared by every transition; together these files are the only table of a job's states.
--
--   (none) -submit-> queued -claim-> running -commit/fail-> committing -finish-> completed | failed | cancelled
--                      ^---- release, reap ----'               (decided; made durable and published meanwhile)
--
-- A caller sees running and committing alike as "processing". All times are Redis' own, in milliseconds.
-- A script may be sent twice: each answers the second time as it did the first, and changes nothing then. Only what
-- reap and stale answered may be lost; the leases and hints that they gave out then run out and are given out again.
local prefix = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local MAX_LOST, MAX_CRASHED, MAX_PREEMPTED = 3, 2, 20
local FIRST_DELAY_MS, LONGEST_DELAY_MS, LONGEST_TROUBLE_MS = 10 * 1000, 300 * 1000, 24 * 3600 * 1000
local VISIBLE = { queued = 'queued', running = 'processing', committing = 'processing',
                  completed = 'completed', failed = 'failed', cancelled = 'cancelled' }

local queued_set, delayed_set, lease_set = prefix .. 'jobs:queued', prefix .. 'jobs:delayed', prefix .. 'jobs:leases'

local function job_key(id) return prefix .. 'job:' .. id end

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
end

-- The outcome is fixed from here on; whoever holds the lease carries it out, and any other may after it.
local function decide(id, outcome, ...)
  move(id, 'committing')
  set(id, 'outcome', outcome, 'finished_ms', now, ...)
end

local function decide_failed(id, code, message)
  decide(id, 'failed', 'error_code', code, 'error_stage', get(id, 'stage') or '', 'error_message', message)
end

local function whole(id) return redis.call('HGETALL', job_key(id)) end
