-- ARGV: owner, whether to leave alone what is known (1 or 0), then pairs (id of a video or job, its bytes).
local owner, is_known_kept = ARGV[1], ARGV[2] == '1'
for i = 3, #ARGV, 2 do
  if not is_known_kept or redis.call('HEXISTS', stored_key(owner), ARGV[i]) == 0 then
    set_stored(owner, ARGV[i], tonumber(ARGV[i + 1]))
  end
end
return 1
