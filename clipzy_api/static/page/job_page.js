// One job: how far it is, or what came of it.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { read } from "./api.js";
import { FINAL, follow } from "./events.js";
import { Actions } from "./job_actions.js";
import { Outcome, Progress } from "./job_states.js";
import { Moment, Badge, Notice, statusOf } from "./widgets.js";
import { ResultView } from "./result_view.js";

export function JobPage({ id }) {
  const { job, problem, ask } = useJob(id);
  useEffect(() => void (job && (document.title = `${job.filename} · Clipzy`)), [job?.filename]);
  if (problem?.code === "JOB_NOT_FOUND") return html`<${Missing} />`;
  if (problem && !job) return html`<${Notice} kind="bad" retry=${ask}>${problem.message}</${Notice}>`;
  if (!job) return html`<p class="nothing">Loading…</p>`;
  const status = statusOf(job);
  return html`
    <p class="back"><a href="#/">← All jobs</a></p>
    <div class="job-head">
      <div>
        <h1 class="filename">${job.filename}</h1>
        <p class="muted"><${Badge} status=${status} /> <${Moment} at=${job.created_at} before="Submitted " />
          ${job.attempt > 1 && html` · attempt ${job.attempt}`}
          ${job.queue !== "interactive" && html` · queue ${job.queue}`} · <code>${job.job_id}</code></p>
      </div>
      <${Actions} job=${job} status=${status} onChange=${ask} />
    </div>
    ${
      FINAL.has(job.status)
        ? status === "completed"
          ? html`<${ResultView} job=${job} />`
          : html`<${Outcome} job=${job} status=${status} />`
        : html`<${Progress} job=${job} />`
    }`;
}

/** The job, live: each event changes it, and after the last one it is read once more, with its link. */
function useJob(id) {
  const [job, setJob] = useState(null);
  const [problem, setProblem] = useState(null);
  const ask = async () => {
    try {
      setJob(await read(`jobs/${id}`));
      setProblem(null);
    } catch (error) {
      setProblem(error);
    }
  };
  useEffect(() => void ask(), []);
  const isLive = job !== null && !FINAL.has(job.status);
  useEffect(() => {
    if (!isLive) return undefined;
    const control = new AbortController();
    const show = (change) => (FINAL.has(change.status) ? ask() : setJob((before) => ({ ...before, ...change })));
    follow(id, show, control.signal).then(() => control.signal.aborted || ask());
    return () => control.abort();
  }, [isLive]);
  return { job, problem, ask };
}

function Missing() {
  return html`
    <div class="state">
      <h1>There is no such job</h1>
      <p class="muted">It was deleted, or finished more than 30 days ago, or belongs to another owner.</p>
      <p><a class="button" href="#/">All jobs</a></p>
    </div>`;
}
