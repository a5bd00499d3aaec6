-- ARGV: how many unfinished jobs there may be. Answers 1 if there are fewer, else 0.
return has_room(ARGV[1]) and 1 or 0
