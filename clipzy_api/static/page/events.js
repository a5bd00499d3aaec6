// A job's server-sent events, read by `fetch`: an `EventSource` cannot send an API key.
import { call, read } from "./api.js";

const PAUSE_MS = 3000;
export const FINAL = new Set(["completed", "failed", "cancelled"]);

/**
 * Call `show` with each event of a job, from the first one on, until the job has finished or `signal` aborts.
 * Broken streams are continued where they broke.
 */
export async function follow(jobId, show, signal) {
  let last = "";
  while (!signal.aborted) {
    try {
      const headers = last ? { "Last-Event-ID": last } : {};
      const answer = await call(`jobs/${jobId}/events`, { headers, signal });
      if (answer.status === 204) return;
      for await (const event of eventsIn(answer.body)) {
        last = event.id || last;
        const change = JSON.parse(event.data);
        show(change);
        if (FINAL.has(change.status)) return;
      }
    } catch (problem) {
      if (signal.aborted || problem.status === 404) return;
      await pause((problem.retryAfterSeconds ?? 0) * 1000 || PAUSE_MS, signal);
      if (problem.status === 503 && (await poll(jobId, show, signal))) return;
    }
  }
}

/** Show the job as it is, where too many follow one by events. Whether it has finished. */
async function poll(jobId, show, signal) {
  const job = await read(`jobs/${jobId}`, { signal }).catch(() => null);
  if (job) show(job);
  return job !== null && FINAL.has(job.status);
}

/** The events of a stream; see https://html.spec.whatwg.org/multipage/server-sent-events.html. Ours have one line. */
async function* eventsIn(stream) {
  let text = "";
  for await (const block of blocksOf(stream)) {
    text += block;
    const messages = text.split("\n\n");
    text = messages.pop();
    for (const message of messages) {
      const event = Object.fromEntries(message.split("\n").map(fieldOf));
      if (event.data) yield event;
    }
  }
}

function fieldOf(line) {
  const at = line.indexOf(": ");
  return [line.slice(0, at), line.slice(at + 2)];
}

async function* blocksOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
  } finally {
    reader.cancel().catch(() => {}); // the stream is broken already
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
