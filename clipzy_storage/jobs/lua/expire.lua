-- ARGV: id. Its result has expired. Answers 1, or 0 if there is no such finished job.
local id = ARGV[1]
if not is_final(get(id, 'state')) then return 0 end
if not get(id, 'expired') then set(id, 'expired', 1) end
uncache(id)
return 1
