-- ARGV: id, token, then the end as the durable record has it: outcome, attempt, error code, stage, message; what its
-- result is made of, if it has one, or '', and the version of the pipeline.
-- Makes it visible. Answers the record, or {} where the job is not the caller's.
local id, token, outcome, attempt = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if get(id, 'token') ~= token then return {} end
if get(id, 'state') == 'committing' then
  if get(id, 'outcome') ~= outcome then
    set(id, 'outcome', outcome, 'attempt', attempt, 'error_code', ARGV[5], 'error_stage', ARGV[6], 'error_message', ARGV[7])
  end
  end_as(id, outcome)
  offer(id, ARGV[8], ARGV[9])
end
return VISIBLE[get(id, 'state')] ~= 'processing' and whole(id) or {}
