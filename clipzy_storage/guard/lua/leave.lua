-- Remove a member. ARGV: member id
remove(ARGV[1])
return 1
