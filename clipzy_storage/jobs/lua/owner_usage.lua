-- ARGV: owner. Answers {waiting jobs, jobs that are processed, bytes stored, uploads that are being received}.
local owner = ARGV[1]
return { count_of(owner, 'queued'), count_of(owner, 'processing'), tonumber(redis.call('GET', bytes_key(owner)) or '0'),
  count_uploads(owner) }
