-- Join, or send a heartbeat: which members there are, on which storage, and whether this process may be one of them.
-- ARGV: member id, member (JSON), role, whether it tolerates no other worker (1 or 0), storage id, window in ms,
--       whether it is joining (1 or 0), the server's run id, its uptime in ms, whether this is a dry run (1 or 0), then
--       ids of members whose processes no longer exist.
-- Answers {verdict, …}: ok, id pinned before | wait, ms | occupied or identity, the other's id, its JSON, its last
--       heartbeat, now.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local id, member, role, exclusive, storage_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5]
local window_ms, is_joining, run_id, uptime_ms = tonumber(ARGV[6]), ARGV[7] == '1', ARGV[8], tonumber(ARGV[9])
local dry_run = ARGV[10] == '1'
local pin, since_key, last_key = prefix .. 'guard:storage-id', prefix .. 'guard:since', prefix .. 'guard:last'

local function list_worker(member_id, heartbeat, is_exclusive)
  redis.call('ZADD', workers, heartbeat, member_id)
  if is_exclusive then redis.call('ZADD', exclusive_workers, heartbeat, member_id) end
end

if redis.call('SET', prefix .. 'guard:indexed', 1, 'NX') then
  local known = redis.call('HGETALL', members)
  for i = 1, #known, 2 do
    local other, described = known[i], cjson.decode(known[i + 1])
    redis.call('SADD', host_key(described), other)
    if described.role == 'worker' then
      list_worker(other, redis.call('ZSCORE', heartbeats, other) or 0, described.alone)
    end
  end
end
for i = 11, #ARGV do remove(ARGV[i]) end

-- Since when would the heartbeats of every live member have been recorded? Not before this record began, nor before
-- this server started, unless no other process can know the server.
-- If there are members, but none of them sent a heartbeat for a while, Redis was unavailable: silence proves nothing.
local last_heartbeat = tonumber(redis.call('GET', last_key) or '0')
redis.call('SET', last_key, now)
local others = redis.call('HLEN', members) - redis.call('HEXISTS', members, id)
redis.call('SET', since_key, now, 'NX')
if others > 0 and now - last_heartbeat > window_ms / 2 then redis.call('SET', since_key, now) end
local recorded_since = tonumber(redis.call('GET', since_key))
if redis.call('GET', prefix .. 'guard:fresh-run') ~= run_id then
  recorded_since = math.max(recorded_since, now - uptime_ms)
end
local window_is_over = now - recorded_since >= window_ms
if window_is_over then
  for _, expired in ipairs(redis.call('ZRANGEBYSCORE', heartbeats, '-inf', now - window_ms)) do
    if expired ~= id then remove(expired) end
  end
elseif is_joining then
  return { 'wait', window_ms - (now - recorded_since) }
end

-- Of those listed, other than this process, the one that has been silent for longest.
local function another(verdict, listing)
  for _, other in ipairs(redis.call('ZRANGE', listing, 0, 1)) do
    local text = other ~= id and redis.call('HGET', members, other)
    if text then return { verdict, other, text, tonumber(redis.call('ZSCORE', heartbeats, other)), now } end
  end
end

local pinned = redis.call('GET', pin)
local refusal = pinned and pinned ~= storage_id and another('identity', heartbeats)
if not refusal and role == 'worker' then
  refusal = another('occupied', exclusive and workers or exclusive_workers)
end
if refusal then return refusal end
if dry_run then return { 'ok', pinned or storage_id } end

redis.call('SET', pin, storage_id)
redis.call('HSET', members, id, member)
redis.call('ZADD', heartbeats, now, id)
if redis.call('ZADD', joined, 'NX', now, id) == 1 then redis.call('SADD', host_key(cjson.decode(member)), id) end
if role == 'worker' then list_worker(id, now, exclusive) end
return { 'ok', pinned or storage_id }
