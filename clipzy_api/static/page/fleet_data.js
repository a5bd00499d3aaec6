// What `GET /fleet` answers, as the fleet view shows it. Everything that reads the answer's names is here.
import { read } from "./api.js";

/** The workers and the queues. Throws `Problem`. */
export async function readFleet(signal) {
  const { workers = [], queues = [] } = await read("fleet", { signal });
  return { workers: workers.map(workerIn), queues: queues.map(queueIn) };
}

function workerIn({ name, queues = [], slots = null, running = [] }) {
  return { name, queues, slots, running: running.map(runIn) };
}

/** The id is null if the job belongs to another owner. */
function runIn({ job_id: jobId = null, stage = null, since = null }) {
  return { jobId, stage, since };
}

function queueIn({ name, jobs = 0, oldest_seconds, bytes = null, time_to_empty_seconds }) {
  return { name, jobs, bytes, oldestSeconds: oldest_seconds ?? null, emptySeconds: time_to_empty_seconds ?? null };
}
