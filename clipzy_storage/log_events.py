"""Names of the log events that operators' rules and the tests wait for, by component."""

FAILPOINT_EXIT = "failpoint.exit"
FAILPOINT_PAUSE = "failpoint.pause"

JANITOR_RECONCILED = "janitor.reconciled"
JANITOR_REBUILT = "janitor.rebuilt"

JOB_CLAIMED = "job.claimed"
JOB_FILE_NOT_VISIBLE_YET = "job.file_not_visible_yet"
JOB_LOST = "job.lost"
JOB_NOTIFICATION_LOST = "job.notification_lost"
JOB_SOURCE_DAMAGED = "job.source_damaged"
JOB_STORAGE_UNAVAILABLE = "job.storage_unavailable"

REAPER_NOTIFIED = "reaper.notified"

WORKER_NOT_CONSUMING = "worker.not_consuming"

WORKER_EXIT_FORCED = "worker.exit_forced"
WORKER_INTERRUPTED = "worker.interrupted"
WORKER_READY = "worker.ready"
WORKER_STOPPING = "worker.stopping"
