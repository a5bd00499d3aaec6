-- ARGV: id of the upload, token of the holder, ms until the lock expires. Holds it for longer. Answers 1, or 2 if another
-- request wants it, or 0 if it has expired: another may have written the upload since, even if it is free again.
local lock = upload_lock_key(ARGV[1])
if redis.call('GET', lock) ~= ARGV[2] then return 0 end
redis.call('PEXPIRE', lock, ARGV[3])
return 1 + redis.call('EXISTS', upload_wanted_key(ARGV[1]))
