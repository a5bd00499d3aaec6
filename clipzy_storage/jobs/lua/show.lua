-- ARGV: id. Answers {record…, whether it is reconciled (1 or 0)}, or {} if there is none.
-- A finished record always is; if Redis may have been set back, an unfinished one may have finished since.
local id = ARGV[1]
local state = get(id, 'state')
if not state then return {} end
return { whole(id), (is_final(state) or is_reconciled()) and 1 or 0 }
