-- ARGV: owner, id of the upload, its bytes, ms until it expires, how many uploads the owner may have at a time and how many
-- bytes it may have stored, '' being any number.
-- Counts the upload, and its bytes as if they had arrived. Answers {'new'}, {'uploads', how many there are} or {'stored',
-- how many bytes there are}. A video that had this id and was deleted is in the way of no job over the new one.
local owner, id, bytes, ttl_ms, limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local count = count_uploads(owner)
if limit ~= '' and count >= tonumber(limit) then return { 'uploads', count } end
local stored = stored_at_limit(owner, id, bytes, ARGV[6])
if stored then return { 'stored', stored } end
redis.call('DEL', prefix .. 'video:' .. id .. ':gone')
hold_upload(owner, id, ttl_ms)
set_stored(owner, id, bytes)
return { 'new' }
