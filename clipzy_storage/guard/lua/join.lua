-- Join, or send a heartbeat: which members there are, on which storage, and whether this process may be one of them.
-- ARGV: member id, member (JSON), role, whether it tolerates no other worker (1 or 0), storage id, window in ms,
--       whether it is joining (1 or 0), the server's run id, its uptime in ms, whether this is a dry run (1 or 0), then
--       ids of members whose processes no longer exist.
-- Answers {verdict, …}: ok, id pinned before | wait, ms | occupied or identity, the other's id, its JSON, its last
--       heartbeat, now.
--
-- Keys, each after the prefix:
--   guard:members     hash    the members' JSON by member id; its field "alone" is true if it tolerates no other worker
--   guard:beats       zset    member ids by their last heartbeat
--   guard:joined      zset    member ids by the time they joined
--   guard:storage-id  string  the id of the storage that this Redis belongs to
--   guard:since       string  since when heartbeats have been recorded without a gap
--   guard:last        string  when the last heartbeat of any member arrived
--   guard:fresh-run   string  the run id of a server that only processes of this run can know (open_fresh in members.py)
local prefix, clock = KEYS[1], redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local id, member, role, exclusive, storage_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5]
local window_ms, is_joining, run_id, uptime_ms = tonumber(ARGV[6]), ARGV[7] == '1', ARGV[8], tonumber(ARGV[9])
local dry_run = ARGV[10] == '1'
local members, heartbeats, joined = prefix .. 'guard:members', prefix .. 'guard:beats', prefix .. 'guard:joined'
local pin, since_key, last_key = prefix .. 'guard:storage-id', prefix .. 'guard:since', prefix .. 'guard:last'

local function remove(other)
  redis.call('HDEL', members, other)
  redis.call('ZREM', heartbeats, other)
  redis.call('ZREM', joined, other)
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

local pinned, occupant = redis.call('GET', pin), nil
for _, other in ipairs(redis.call('ZRANGE', heartbeats, 0, -1)) do
  local text = other ~= id and redis.call('HGET', members, other)
  if text then
    local about = { other, text, tonumber(redis.call('ZSCORE', heartbeats, other)), now }
    if pinned and pinned ~= storage_id then return { 'identity', unpack(about) } end
    local peer = cjson.decode(text)
    if role == 'worker' and peer.role == 'worker' and (exclusive or peer.alone) then occupant = occupant or about end
  end
end
if occupant then return { 'occupied', unpack(occupant) } end
if dry_run then return { 'ok', pinned or storage_id } end

redis.call('SET', pin, storage_id)
redis.call('HSET', members, id, member)
redis.call('ZADD', heartbeats, now, id)
redis.call('ZADD', joined, 'NX', now, id)
return { 'ok', pinned or storage_id }
