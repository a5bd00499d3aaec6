-- ARGV: owner, id of the upload, ms until it counts as gone, how many the owner may have at a time or '' for any number.
-- Holds it, or holds it for longer. Answers -1, or how many there are if that is all that there may be.
local owner, id, ttl_ms, limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local count = count_uploads(owner)
if limit ~= '' and count >= tonumber(limit) and not redis.call('ZSCORE', uploads_key(owner), id) then return count end
hold_upload(owner, id, ttl_ms)
return -1
