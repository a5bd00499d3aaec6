// What can be done with a job: cancel, retry, analyse again, delete.
import { html, useState } from "./vendor/htm-preact.js";
import { call, randomName, read } from "./api.js";
import { FINAL } from "./events.js";
import { jobLink } from "./route.js";
import { Dialog } from "./widgets.js";

export function Actions({ job, status, onChange }) {
  const [asksToDelete, setAsksToDelete] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const run = (action) => async () => {
    setBusy(true);
    setError(null);
    try {
      await action(job);
      await onChange();
    } catch (problem) {
      setError(problem.message);
    }
    setBusy(false);
  };
  const button = (label, action, kind = "") => html`
    <button type="button" class="button ${kind}" disabled=${isBusy} onClick=${action}>${label}</button>`;
  return html`
    <div class="actions">
      ${!FINAL.has(job.status) && button("Cancel", run(cancel))}
      ${["failed", "cancelled"].includes(status) && button("Retry", run(retry), "button-primary")}
      ${status === "expired" && button("Analyse again", run(analyseAgain), "button-primary")}
      ${FINAL.has(job.status) && button("Delete", () => setAsksToDelete(true), "button-danger")}
      ${error && html`<p class="error" role="alert">${error}</p>`}
      ${asksToDelete && html`<${DeleteDialog} job=${job} onClose=${() => setAsksToDelete(false)} />`}
    </div>`;
}

const cancel = (job) => call(`jobs/${job.job_id}/cancel`, { method: "POST" });

async function retry(job) {
  show(await read(`jobs/${job.job_id}/retry`, { method: "POST", headers: { "Idempotency-Key": randomName() } }));
}

async function analyseAgain({ video_id, config, queue }) {
  show(await read("jobs", { method: "POST", json: { video_id, config, queue } }));
}

const show = (job) => (location.hash = jobLink(job.job_id));

async function removeUnlessGone(path) {
  try {
    await call(path, { method: "DELETE" });
  } catch (problem) {
    if (problem.status !== 404) throw problem;
  }
}

function DeleteDialog({ job, onClose }) {
  const [withVideo, setWithVideo] = useState(false);
  const [error, setError] = useState(null);
  const remove = async () => {
    try {
      // The video goes first: if it cannot, since another job uses it, the job is still there to decide anew.
      if (withVideo) await removeUnlessGone(`videos/${job.video_id}`);
      await removeUnlessGone(`jobs/${job.job_id}`);
      location.hash = "#/";
    } catch (problem) {
      setError(problem.message);
    }
  };
  return html`
    <${Dialog} title="Delete this job?" onClose=${onClose}>
      <p>The job and all files of its result are deleted. This cannot be undone.</p>
      <label class="check">
        <input type="checkbox" checked=${withVideo} onChange=${(event) => setWithVideo(event.target.checked)} />
        Delete the uploaded video too; other jobs on it can then not be retried
      </label>
      ${error && html`<p class="error" role="alert">${error}</p>`}
      <div class="dialog-buttons">
        <button type="button" class="button" onClick=${onClose}>Keep</button>
        <button type="button" class="button button-danger" onClick=${remove}>Delete</button>
      </div>
    </${Dialog}>`;
}
