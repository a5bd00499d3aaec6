-- ARGV: id, which state it must be in: 'final', 'queued', or 'running' under the token that follows.
-- Answers 'forgotten', 'unknown' or 'kept'.
local id, wanted, token = ARGV[1], ARGV[2], ARGV[3]
local state = get(id, 'state')
if not state then return 'unknown' end
if wanted == 'final' and not is_final(state) then return 'kept' end
if wanted == 'queued' and state ~= 'queued' then return 'kept' end
if wanted == 'running' and not holds(id, token, 'running') then return 'kept' end
forget(id)
return 'forgotten'
