-- ARGV: id, token, code, message. Answers 1, or 0 if the token does not hold the job.
-- A committed job may still fail until its outcome is visible: if what it committed is missing.
local id, token, code, message = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not holds(id, token, 'running', 'committing') then return 0 end
local outcome = get(id, 'outcome')
if outcome ~= 'failed' and outcome ~= 'cancelled' then begin_failed_completion(id, code, message) end
return 1
