-- ARGV: id, owner, storage id, the record's unchanging part as JSON, Idempotency-Key or '', fingerprint of the request.
-- Answers {'new', record…}, {'same' or 'mismatch', id of the first job under this key} or {'gone'}: the video is deleted.
local id, owner, storage_id, record, key, fingerprint = unpack(ARGV)
if redis.call('EXISTS', prefix .. 'video:' .. cjson.decode(record).video_id .. ':gone') == 1 then return { 'gone' } end
local verdict, first_id, is_new_key = recall(owner, key, fingerprint, id)
if verdict ~= 'new' then return { verdict, first_id } end
local known = get(id, 'record')
-- Another request has made it under this key; or it was made under it, and deleted since.
if known and known ~= record or not known and not is_new_key then return { 'same', id } end
if not known then
  -- The order is finer than the milliseconds shown, so that listings keep it.
  create(id, owner, storage_id, record, clock[1] * 1000000 + clock[2], now, 1)
  log_event(id)
end
return { 'new', whole(id) }
