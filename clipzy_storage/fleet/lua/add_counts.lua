-- ARGV: sender, number of its batch, then pairs (field, amount). Answers 1, or 0 if this batch was added before.
-- Keys, each after the prefix:
--   metrics:counts         hash    sums by field: of what all processes have counted since this Redis was empty
--   metrics:sent:{sender}  string  number of the last batch of this process
local prefix = KEYS[1]
local sent = prefix .. 'metrics:sent:' .. ARGV[1]
if redis.call('GET', sent) == ARGV[2] then return 0 end
redis.call('SET', sent, ARGV[2], 'EX', 86400)
for i = 3, #ARGV, 2 do redis.call('HINCRBY', prefix .. 'metrics:counts', ARGV[i], ARGV[i + 1]) end
return 1
