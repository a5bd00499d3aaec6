"""Names of the log events that operators' rules and the tests wait for. ``docs/operations.md`` explains all events."""

ACCESS_KEY_CREATED = "access.key_created"
ACCESS_KEY_DAMAGED = "access.key_damaged"
ACCESS_KEY_REFUSED = "access.key_refused"
ACCESS_KEY_REVOKED = "access.key_revoked"
ACCESS_KEY_USED = "access.key_used"
ACCESS_LINK_SECRET_ROTATED = "access.link_secret_rotated"
ACCESS_NOT_REFRESHED = "access.not_refreshed"

FAILPOINT_EXIT = "failpoint.exit"
FAILPOINT_PAUSE = "failpoint.pause"

GUARD_JOINED = "guard.joined"
GUARD_NO_ANSWER = "guard.no_answer"
GUARD_REDIS_REFUSED = "guard.redis_refused"
GUARD_REDIS_UNAVAILABLE = "guard.redis_unavailable"
GUARD_STORAGE_ERROR = "guard.storage_error"
GUARD_STORAGE_REPLACED = "guard.storage_replaced"
GUARD_STORAGE_UNAVAILABLE = "guard.storage_unavailable"
GUARD_UNVERIFIED = "guard.unverified"
GUARD_VERIFIED = "guard.verified"
GUARD_WAITING = "guard.waiting"

HTTP_REQUEST = "http.request"

JANITOR_REBUILT = "janitor.rebuilt"
JANITOR_RECONCILED = "janitor.reconciled"

JOB_CANCELLED = "job.cancelled"
JOB_CLAIMED = "job.claimed"
JOB_COMPLETED = "job.completed"
JOB_FAILED = "job.failed"
JOB_FILE_NOT_VISIBLE_YET = "job.file_not_visible_yet"
JOB_LEFT_TO_THE_REAPER = "job.left_to_the_reaper"
JOB_LOST = "job.lost"
JOB_NOTIFICATION_LOST = "job.notification_lost"
JOB_RELEASED = "job.released"
JOB_REUSED = "job.reused"
JOB_SOURCE_DAMAGED = "job.source_damaged"
JOB_STORAGE_UNAVAILABLE = "job.storage_unavailable"
JOB_SUBMITTED = "job.submitted"

PROCESS_PRINTED = "process.printed"
PROCESS_REFUSED = "process.refused"
PROCESS_UNCAUGHT_EXCEPTION = "process.uncaught_exception"
PROCESS_WARNING = "process.warning"

REAPER_NOTIFIED = "reaper.notified"

SEGMENT_FETCHED = "segment.fetched"
SEGMENT_RENDERED = "segment.rendered"

STORAGE_DAMAGED = "storage.damaged"

SUPERVISOR_READY = "supervisor.ready"
SUPERVISOR_RESTARTING = "supervisor.restarting"

WEBHOOK_ATTEMPT_FAILED = "webhook.attempt_failed"
WEBHOOK_DELIVERED = "webhook.delivered"
WEBHOOK_GIVEN_UP = "webhook.given_up"
WEBHOOK_RECORD_FAILED = "webhook.record_failed"
WEBHOOK_REPLAYED = "webhook.replayed"

WEB_LISTENING = "web.listening"

WORKER_EXIT_FORCED = "worker.exit_forced"
WORKER_INTERRUPTED = "worker.interrupted"
WORKER_NOT_CONSUMING = "worker.not_consuming"
WORKER_READY = "worker.ready"
WORKER_STOPPING = "worker.stopping"
