-- Answers {jobs that wait, for each queue: {jobs, ms that the oldest has waited, bytes, how many of unknown size}, delayed
-- and parked jobs, for each visible status {status, jobs}, held jobs: {id, owner, stage, percent, ms since it was
-- claimed, holder, bytes}, of the latest analyses {jobs, bytes, ms}}. What it costs does not grow with the finished jobs.
local sums = {}
local function sum(field) return math.max(tonumber(redis.call('HGET', waiting_sums, field) or '0'), 0) end

for i, queue in ipairs(QUEUES) do
  local waiting, queued = waiting_sets[queue], queued_sets[queue]
  if redis.call('ZCARD', waiting) < redis.call('ZCARD', queued) then  -- those that an older version has queued
    for _, id in ipairs(redis.call('ZRANGE', queued, 0, -1)) do
      local _, bytes = queue_of(id)
      begin_waiting(id, queue, bytes, number(id, 'created_ms'))
    end
  end
  local oldest = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
  sums[i] = { redis.call('ZCARD', waiting), oldest and math.max(now - tonumber(oldest), 0) or 0, sum(queue .. ':bytes'),
              sum(queue .. ':unsized') }
end

local statuses, counts = { 'queued', 'processing', 'completed', 'failed', 'cancelled' }, {}
local owners = redis.call('SMEMBERS', prefix .. 'stored:owners')
for i, status in ipairs(statuses) do
  local jobs = 0
  for _, owner in ipairs(owners) do jobs = jobs + count_of(owner, status) end
  counts[i] = { status, jobs }
end

local held = {}
for _, id in ipairs(redis.call('ZRANGE', lease_set, 0, -1)) do
  local found = redis.call('HMGET', job_key(id), 'owner', 'state', 'stage', 'progress', 'claimed_ms', 'holder')
  if found[2] then
    local _, bytes = queue_of(id)
    held[#held + 1] = { id, found[1], found[3] or '', tonumber(found[4] or '0'),
                        math.max(now - tonumber(found[5] or now), 0), found[6] or '', bytes }
  end
end
return { sums, redis.call('ZCARD', delayed_set), redis.call('ZCARD', parked_set), counts, held,
         redis.call('HMGET', speed, 'jobs', 'bytes', 'ms') }
