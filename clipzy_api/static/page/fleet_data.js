// What `GET /fleet` answers, as the fleet view shows it. Everything that reads the answer's names is here.
import { read } from "./api.js";

/** The workers, the queues, the jobs that wait in neither, and an estimate. Throws `Problem`. */
export async function readFleet(signal) {
  const fleet = await read("fleet", { signal });
  return {
    workers: fleet.workers.map(workerIn),
    queues: fleet.queues.map(queueIn),
    delayedJobs: fleet.delayed_jobs,
    parkedJobs: fleet.parked_jobs,
    emptySeconds: fleet.estimated_seconds_to_empty, // null if it is unknown
  };
}

function workerIn({ name, queues, slots, running }) {
  return { name, queues, slots, running: running.map(runIn) };
}

/** The id is null if the job belongs to another owner. */
function runIn({ job_id: jobId, current_stage: stage, progress_percent: percent, started_at: since }) {
  return { jobId, stage, percent, since };
}

function queueIn({ queue: name, jobs, oldest_seconds: oldestSeconds, size_bytes: bytes }) {
  return { name, jobs, bytes, oldestSeconds };
}
