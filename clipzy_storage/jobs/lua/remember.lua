-- ARGV: owner, Idempotency-Key, fingerprint, id of the new video. Answers {'new', 'same' or 'mismatch', id of the first}
local owner, key, fingerprint, id = unpack(ARGV)
local verdict, first_id = recall(owner, key, fingerprint, id)
return { verdict, first_id }
