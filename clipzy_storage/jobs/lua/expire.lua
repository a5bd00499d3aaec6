-- ARGV: id. Its result is kept no longer. Answers 1, or 0 where there is no such finished job.
local id = ARGV[1]
if not is_final(get(id, 'state')) then return 0 end
if not get(id, 'expired') then set(id, 'expired', 1) end
withdraw(id)
return 1
