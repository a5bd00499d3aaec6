-- ARGV: id, token, folder of the attempt, sha256 of its output.json, number of the attempt that wrote it, version of the
-- pipeline that made it.
-- Answers {'committed', record…}, {'cancelled'} where somebody wants the job cancelled, or {''} where it is not the
-- caller's.
local id, token, folder, digest, attempt, pipeline_version = unpack(ARGV)
-- Committed already, and perhaps adopted by a reaper meanwhile: the folder is this attempt's alone, so it is the answer.
if get(id, 'attempt_folder') == folder then return { 'committed', whole(id) } end
if not holds(id, token, 'running') then return { '' } end
if get(id, 'cancel') then return { 'cancelled' } end
decide(id, 'completed', 'attempt_folder', folder, 'result_sha256', digest, 'attempt', attempt,
  'pipeline_version', pipeline_version)
return { 'committed', whole(id) }
