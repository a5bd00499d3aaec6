-- ARGV: id, token, code, message. Answers 1, or 0 where the job is not the caller's.
-- Also a job that was committed may fail as long as nobody has seen its end: when what it committed cannot be found.
local id, token, code, message = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not holds(id, token, 'running', 'committing') then return 0 end
local outcome = get(id, 'outcome')
if outcome ~= 'failed' and outcome ~= 'cancelled' then decide_failed(id, code, message) end
return 1
