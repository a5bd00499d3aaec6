-- Join and beat in one: who is on this Redis, on which storage, and whether one more may be.
-- ARGV: member id, member (JSON), role, whether it tolerates no other worker (1 or 0), storage id, window in ms,
--       whether it is new here (1 or 0), the server's run id, its uptime in ms, whether it only asks (1 or 0), then ids
--       of members that are seen to be gone.
-- Answers {verdict, …}: ok, pinned id before | wait, ms | occupied or identity, the other's id, JSON, its last beat, now.
local prefix, clock = KEYS[1], redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local id, member, role, alone, storage_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5]
local window_ms, is_new, run_id, uptime_ms = tonumber(ARGV[6]), ARGV[7] == '1', ARGV[8], tonumber(ARGV[9])
local only_asks = ARGV[10] == '1'
local members, beats, joined = prefix .. 'guard:members', prefix .. 'guard:beats', prefix .. 'guard:joined'
local pin, since_key, last_key = prefix .. 'guard:storage-id', prefix .. 'guard:since', prefix .. 'guard:last'

local function bury(other)
  redis.call('HDEL', members, other)
  redis.call('ZREM', beats, other)
  redis.call('ZREM', joined, other)
end
for i = 11, #ARGV do bury(ARGV[i]) end

-- Since when could every live member have been heard? Not before this record began, nor before this server started,
-- unless it was started as one that nobody else can know (open_fresh in guard.py).
-- Where nobody at all was heard for a while, though there are members, Redis was away and silence proves nothing yet.
local last_heard = tonumber(redis.call('GET', last_key) or '0')
redis.call('SET', last_key, now)
local others = redis.call('HLEN', members) - redis.call('HEXISTS', members, id)
redis.call('SET', since_key, now, 'NX')
if others > 0 and now - last_heard > window_ms / 2 then redis.call('SET', since_key, now) end
local heard_since = tonumber(redis.call('GET', since_key))
if redis.call('GET', prefix .. 'guard:fresh-run') ~= run_id then
  heard_since = math.max(heard_since, now - uptime_ms)
end
local window_is_over = now - heard_since >= window_ms
if window_is_over then
  for _, silent in ipairs(redis.call('ZRANGEBYSCORE', beats, '-inf', now - window_ms)) do
    if silent ~= id then bury(silent) end
  end
elseif is_new then
  return { 'wait', window_ms - (now - heard_since) }
end

local pinned, occupant = redis.call('GET', pin), nil
for _, other in ipairs(redis.call('ZRANGE', beats, 0, -1)) do
  local text = other ~= id and redis.call('HGET', members, other)
  if text then
    local about = { other, text, tonumber(redis.call('ZSCORE', beats, other)), now }
    if pinned and pinned ~= storage_id then return { 'identity', unpack(about) } end
    local they = cjson.decode(text)
    if role == 'worker' and they.role == 'worker' and (alone or they.alone) then occupant = occupant or about end
  end
end
if occupant then return { 'occupied', unpack(occupant) } end
if only_asks then return { 'ok', pinned or storage_id } end

redis.call('SET', pin, storage_id)
redis.call('HSET', members, id, member)
redis.call('ZADD', beats, now, id)
redis.call('ZADD', joined, 'NX', now, id)
return { 'ok', pinned or storage_id }
