-- ARGV: id, token, then what the durable record has: outcome, attempt, error code, stage, message, result cache key or
-- '', pipeline version, bytes of the result, finished in ms. Makes the outcome visible as it is there, which may be that of
-- an earlier end that this Redis has forgotten, and in the same step due for the job's webhook. Answers the revision, or 0
-- if the token does not hold the job.
local id, token, outcome, attempt, finished_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[11]
if get(id, 'token') ~= token then return 0 end
if get(id, 'state') == 'committing' then
  if get(id, 'outcome') ~= outcome or get(id, 'finished_ms') ~= finished_ms then
    set(id, 'outcome', outcome, 'attempt', attempt, 'finished_ms', finished_ms, 'error_code', ARGV[5], 'error_stage', ARGV[6],
      'error_message', ARGV[7])
  end
  if finish_as(id, outcome, ARGV[8], ARGV[9]) then schedule_delivery(id) end
  count('clipzy_jobs_finished_total', outcome, ARGV[5])
  set_stored(get(id, 'owner'), id, tonumber(ARGV[10]))
end
return VISIBLE[get(id, 'state')] ~= 'processing' and number(id, 'revision') or 0
