-- ARGV: id of the upload, token of the holder, ms until the lock expires. Takes the lock. Answers whether it was free, or
-- is the holder's already (1 or 0). If it is another's, that one is told for as many ms that it is wanted.
local lock, wanted, token = upload_lock_key(ARGV[1]), upload_wanted_key(ARGV[1]), ARGV[2]
local holder = redis.call('GET', lock)
if holder and holder ~= token then
  redis.call('SET', wanted, 1, 'PX', ARGV[3])
  return 0
end
redis.call('SET', lock, token, 'PX', ARGV[3])
redis.call('DEL', wanted)
return 1
