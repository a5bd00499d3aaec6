-- ARGV: id, token. The holder has stopped work, as somebody wants. Answers 1, or 0 where the job is not the caller's.
local id, token = ARGV[1], ARGV[2]
if not holds(id, token, 'running', 'committing') then return 0 end
if get(id, 'state') == 'running' then decide(id, 'cancelled') end
return 1
