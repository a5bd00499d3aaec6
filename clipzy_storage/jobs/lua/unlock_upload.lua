-- ARGV: id of the upload, token of the holder. Answers 1.
if redis.call('GET', upload_lock_key(ARGV[1])) == ARGV[2] then redis.call('DEL', upload_lock_key(ARGV[1])) end
return 1
