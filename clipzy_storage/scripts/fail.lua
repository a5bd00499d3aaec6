-- ARGV: id, token, code, message. Answers 1, or 0 where the job is not the caller's.
local id, token, code, message = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if holds(id, token, 'committing') then return get(id, 'outcome') == 'failed' and 1 or 0 end
if not holds(id, token, 'running') then return 0 end
decide_failed(id, code, message)
return 1
