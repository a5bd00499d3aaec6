-- ARGV: id, token. The holder has stopped, since cancellation was requested. Answers 1, or 0 if the token does not hold
-- the job.
local id, token = ARGV[1], ARGV[2]
if not holds(id, token, 'running', 'committing') then return 0 end
if get(id, 'state') == 'running' then begin_completion(id, 'cancelled') end
return 1
