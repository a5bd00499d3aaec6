-- ARGV: owner, Idempotency-Key or '', fingerprint, id of the new video, its bytes, how many bytes the owner may have
-- stored or '' for any number.
-- Answers {'new', 'same' or 'mismatch', id of the first video under this key}, or {'stored', how many bytes it has}.
local owner, key, fingerprint, id, bytes, limit = unpack(ARGV)
local is_repeated = key ~= '' and redis.call('EXISTS', answer_key(owner, key)) == 1
local is_counted = bytes_of(owner, id) > 0  -- by this same call, sent before
local stored = not is_repeated and not is_counted and stored_at_limit(owner, id, tonumber(bytes), limit)
if stored then return { 'stored', stored } end
local verdict, first_id = recall(owner, key, fingerprint, id)
if verdict == 'new' then set_stored(owner, id, tonumber(bytes)) end
return { verdict, first_id }
