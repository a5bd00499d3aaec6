// Workers, what each does, and what waits.
import { html, useState } from "./vendor/htm-preact.js";
import { readFleet } from "./fleet_data.js";
import { sentence, size, span } from "./format.js";
import { usePolling } from "./polling.js";
import { jobLink } from "./route.js";
import { Moment, Notice } from "./widgets.js";

const PAUSE_SECONDS = 2;

export function FleetPage() {
  const [fleet, setFleet] = useState(null);
  const [problem, setProblem] = useState(null);
  const ask = async (signal) => {
    try {
      setFleet(await readFleet(signal));
      setProblem(null);
    } catch (error) {
      if (error.name !== "AbortError") setProblem(error);
    }
  };
  usePolling(ask, PAUSE_SECONDS, []);
  return html`
    <h1>Fleet</h1>
    ${problem && html`<${Notice} kind="bad" retry=${() => ask()}>${problem.message}</${Notice}>`}
    ${fleet && html`<${Queues} fleet=${fleet} /><${Workers} workers=${fleet.workers} />`}`;
}

function Queues({ fleet }) {
  const { queues, delayedJobs, parkedJobs, emptySeconds } = fleet;
  const elsewhere = [
    emptySeconds > 0 && `all done in about ${span(emptySeconds)}`,
    delayedJobs > 0 && `${counted(delayedJobs)} waiting for their time after an error`,
    parkedJobs > 0 && `${counted(parkedJobs)} waiting for another one of their owner to finish`,
  ].filter(Boolean);
  return html`
    <section aria-labelledby="queues-title">
      <h2 id="queues-title">What waits</h2>
      <div class="tiles">${queues.map((queue) => html`<${Queue} key=${queue.name} queue=${queue} />`)}</div>
      ${elsewhere.length > 0 && html`<p class="muted">${elsewhere.join(" · ")}</p>`}
    </section>`;
}

function counted(jobs) {
  return jobs === 1 ? "1 job" : `${jobs} jobs`;
}

function Queue({ queue }) {
  const details = [
    queue.oldestSeconds !== null && `oldest for ${span(queue.oldestSeconds)}`,
    queue.bytes > 0 && size(queue.bytes),
  ].filter(Boolean);
  return html`
    <div class="card tile">
      <h3>${queue.name}</h3>
      <p class="big-number">${queue.jobs}<span class="unit"> ${queue.jobs === 1 ? "job" : "jobs"}</span></p>
      <p class="muted">${details.join(" · ") || "nothing waits"}</p>
    </div>`;
}

function Workers({ workers }) {
  return html`
    <section aria-labelledby="workers-title">
      <h2 id="workers-title">Workers <span class="count">${workers.length}</span></h2>
      ${workers.length === 0 && html`<p class="nothing">No worker is running. Jobs wait until one is.</p>`}
      <ul class="workers">${workers.map((worker) => html`<${Worker} key=${worker.name} worker=${worker} />`)}</ul>
    </section>`;
}

function Worker({ worker }) {
  const slots = ` · ${worker.running.length} of ${worker.slots} slots`;
  return html`
    <li class="card worker">
      <div><strong class="filename">${worker.name}</strong>
        <span class="muted">${worker.queues.join(", ")}${slots}</span></div>
      ${worker.running.length === 0 && html`<p class="muted">idle</p>`}
      <ul>${worker.running.map((run) => html`<li>${describe(run)}</li>`)}</ul>
    </li>`;
}

function describe({ jobId, stage, percent, since }) {
  const job = jobId ? html`<a href=${jobLink(jobId)}><code>${jobId}</code></a>` : "a job of another owner";
  const begun = html`<${Moment} at=${since} before="started " />`;
  return html`${job} <span class="muted">${stage && `${sentence(stage)} · `}${percent} % · ${begun}</span>`;
}
