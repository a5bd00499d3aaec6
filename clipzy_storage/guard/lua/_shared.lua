-- Shared by the scripts of the guard. All times are those of Redis, in milliseconds. What a script does must not grow with
-- the number of members: so sets tell who could be in the way of whom.
--
-- Keys, each after the prefix:
--   guard:members     hash    the members' JSON by member id; its field "alone" is true if it tolerates no other worker
--   guard:beats       zset    member ids by their last heartbeat
--   guard:joined      zset    member ids by the time they joined
--   guard:workers     zset    the ids of workers by their last heartbeat
--   guard:exclusive   zset    of these, the ones that tolerate no other worker
--   guard:host:{name} set     member ids by host
--   guard:indexed     string  set once the last three have been made from members of an older version
--   guard:storage-id  string  the id of the storage that this Redis belongs to
--   guard:since       string  since when heartbeats have been recorded without a gap
--   guard:last        string  when the last heartbeat of any member arrived
--   guard:fresh-run   string  the run id of a server that only processes of this run can know (open_fresh in members.py)
local prefix = KEYS[1]
local members, heartbeats, joined = prefix .. 'guard:members', prefix .. 'guard:beats', prefix .. 'guard:joined'
local workers, exclusive_workers = prefix .. 'guard:workers', prefix .. 'guard:exclusive'

local function host_key(member) return prefix .. 'guard:host:' .. member.process.host end

local function remove(id)
  local text = redis.call('HGET', members, id)
  if text then redis.call('SREM', host_key(cjson.decode(text)), id) end
  redis.call('HDEL', members, id)
  for _, listing in ipairs({ heartbeats, joined, workers, exclusive_workers }) do redis.call('ZREM', listing, id) end
end
