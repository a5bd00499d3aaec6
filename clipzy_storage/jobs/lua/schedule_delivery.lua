-- ARGV: id of a finished job. Has its end delivered now, unless it is scheduled already. Answers 1.
schedule_delivery(ARGV[1])
return 1
