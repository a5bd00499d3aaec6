-- ARGV: id, owner, storage id, the record's unchanging part as JSON, Idempotency-Key or '', fingerprint of the request,
-- how many unfinished jobs there may be, how many of this owner, and how many bytes it may have stored, '' being any
-- number.
-- Answers {'new', created in ms, revision}, {'same' or 'mismatch', id of the first job under this key}, {'gone'}: the
-- video is deleted, {'full'}: there are that many jobs, {'unfinished', how many the owner has}, or {'stored', how many
-- bytes it has}. After the last three neither this job nor this key is known.
local id, owner, storage_id, record, key, fingerprint = unpack(ARGV)
local about = cjson.decode(record)
local size_bytes = about.source_size_bytes or 0  -- of a video that is yet to be imported: it is counted then
if redis.call('EXISTS', prefix .. 'video:' .. about.video_id .. ':gone') == 1 then return { 'gone' } end
local known = get(id, 'record')
local is_repeated = key ~= '' and redis.call('EXISTS', answer_key(owner, key)) == 1
if not known and not is_repeated then
  if not has_room(ARGV[7]) then return { 'full' } end
  local unfinished = unfinished_at_limit(owner, ARGV[8])
  if unfinished then return { 'unfinished', unfinished } end
  local stored = stored_at_limit(owner, about.video_id, size_bytes, ARGV[9])
  if stored then return { 'stored', stored } end
end
local verdict, first_id, is_new_key = recall(owner, key, fingerprint, id)
if verdict ~= 'new' then return { verdict, first_id } end
-- Another request has made it under this key; or it was made under it, and deleted since.
if known and known ~= record or not known and not is_new_key then return { 'same', id } end
if not known then
  -- The order is finer than the milliseconds shown, so that listings keep it.
  create(id, owner, storage_id, record, clock[1] * 1000000 + clock[2], now, 1)
  log_event(id)
  set_stored(owner, about.video_id, size_bytes)
end
return { 'new', tonumber(final_field(id, 'created_ms')), number(id, 'revision') }
