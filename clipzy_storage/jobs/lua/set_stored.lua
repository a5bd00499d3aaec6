-- ARGV: owner, then triples (id of a video or job, its bytes, which known count they replace: '' for any, 'none', or a
-- number of bytes). Answers 1.
local owner = ARGV[1]
for i = 2, #ARGV, 3 do
  local id, bytes, replaced = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local known = redis.call('HGET', stored_key(owner), id) or 'none'
  if replaced == '' or replaced == known then set_stored(owner, id, bytes) end
end
return 1
