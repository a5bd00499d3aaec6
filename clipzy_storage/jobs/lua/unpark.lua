-- ARGV: owner, how many of its jobs may be held, or '' for any number. Returns as many parked jobs to their queues as
-- may be held now, at most 500: those of interactive first, then the oldest. Answers pairs (id, queue). A repeated call
-- may return more of them: those that are too many are parked again when they are claimed.
local owner, limit = ARGV[1], ARGV[2]
local room = 500
if limit ~= '' then room = math.max(math.min(tonumber(limit) - count_of(owner, 'processing'), room), 0) end
local found = {}
for _, id in ipairs(room > 0 and redis.call('ZRANGE', parked_key(owner), 0, room - 1) or {}) do
  redis.call('ZREM', parked_key(owner), id)
  redis.call('ZREM', parked_set, id)
  if get(id, 'state') == 'queued' then
    add_to_queue(id)
    found[#found + 1] = id
    found[#found + 1] = queue_of(id)
  end
end
if redis.call('EXISTS', parked_key(owner)) == 0 then redis.call('SREM', parked_owners, owner) end
return found
