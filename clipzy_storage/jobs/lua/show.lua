-- ARGV: id. Answers {record…, whether it is certain (1 or 0)}, or {} where there is none.
-- An end is certain; where Redis may have been set back, what is not finished here may have finished since.
local id = ARGV[1]
local state = get(id, 'state')
if not state then return {} end
return { whole(id), (is_final(state) or is_current()) and 1 or 0 }
