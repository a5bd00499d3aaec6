-- ARGV: id, token, prefix of the attempt, sha256 of its output.json, number of the attempt that wrote it, version of the
-- pipeline that made it; of a result that was not taken over also the bytes of the video, and the ms that it took, else ''.
-- Answers {'committed', when, revision, whether it was restored (1 or 0)}, {'cancelled'} if cancellation was requested, or
-- {''} if the token does not hold the job.
local id, token, attempt_prefix, digest, attempt, pipeline_version = unpack(ARGV)
local function committed()
  return { 'committed', tonumber(final_field(id, 'finished_ms')), number(id, 'revision'), get(id, 'restored') and 1 or 0 }
end
-- Committed already, and perhaps adopted by a reaper meanwhile: the prefix is this attempt's alone, so it is the answer.
if final_field(id, 'attempt_folder') == attempt_prefix then return committed() end
if not holds(id, token, 'running') then return { '' } end
if get(id, 'cancel') then return { 'cancelled' } end
begin_completion(id, 'completed', 'attempt_folder', attempt_prefix, 'result_sha256', digest, 'attempt', attempt,
  'pipeline_version', pipeline_version)
if ARGV[7] ~= '' then note_speed(tonumber(ARGV[7]), tonumber(ARGV[8])) end
return committed()
