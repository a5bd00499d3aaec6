-- ARGV: id, token, then what the durable record has: outcome, attempt, error code, stage, message, result cache key or
-- '', pipeline version, bytes of the result. Makes the outcome visible. Answers the revision, or 0 if the token does not
-- hold the job.
local id, token, outcome, attempt = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if get(id, 'token') ~= token then return 0 end
if get(id, 'state') == 'committing' then
  if get(id, 'outcome') ~= outcome then
    set(id, 'outcome', outcome, 'attempt', attempt, 'error_code', ARGV[5], 'error_stage', ARGV[6], 'error_message', ARGV[7])
  end
  finish_as(id, outcome, ARGV[8], ARGV[9])
  set_stored(get(id, 'owner'), id, tonumber(ARGV[10]))
end
return VISIBLE[get(id, 'state')] ~= 'processing' and number(id, 'revision') or 0
