-- Remove a member. ARGV: member id
local prefix = KEYS[1]
redis.call('HDEL', prefix .. 'guard:members', ARGV[1])
redis.call('ZREM', prefix .. 'guard:beats', ARGV[1])
redis.call('ZREM', prefix .. 'guard:joined', ARGV[1])
return 1
