-- ARGV: owner, id of the upload. Answers 1.
redis.call('ZREM', uploads_key(ARGV[1]), ARGV[2])
return 1
