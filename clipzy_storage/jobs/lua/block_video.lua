-- ARGV: video id. Refuses new jobs over this video from now on. Answers 1, or 0 if unfinished jobs use it.
local id = ARGV[1]
if redis.call('SCARD', users_key(id)) > 0 then return 0 end
redis.call('SET', prefix .. 'video:' .. id .. ':gone', 1, 'EX', 3600)
return 1
