-- ARGV: id, token, folder of the attempt, sha256 of its output.json. Answers 1, or 0 where the job is not the caller's.
local id, token, folder, digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
-- Committed already, and perhaps adopted by a reaper meanwhile: the folder is this attempt's alone, so it is the answer.
if get(id, 'attempt_folder') == folder then return 1 end
if not holds(id, token, 'running') then return 0 end
decide(id, 'completed', 'attempt_folder', folder, 'result_sha256', digest)
return 1
