-- ARGV: video id. Lets no more jobs over this video in, unless there are unfinished ones. Answers 'dropped' or 'in use'.
local id = ARGV[1]
if redis.call('SCARD', users_key(id)) > 0 then return 'in use' end
redis.call('SET', prefix .. 'video:' .. id .. ':gone', 1, 'EX', 3600)
return 'dropped'
