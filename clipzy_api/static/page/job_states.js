// A job that has no result to show: on its way, failed, cancelled or expired.
import { html } from "./vendor/htm-preact.js";
import { sentence } from "./format.js";
import { Bar, Moment } from "./widgets.js";

const STAGES = ["video_analysis", "audio_analysis", "motion_analysis", "style_extraction"];
const ADVICE = {
  INVALID_MEDIA: "The file is at fault. Check that it plays, or export it again.",
  JOB_TIMEOUT: "It took longer than one attempt may. A shorter video, or a higher limit, would do.",
  RESULT_TOO_LARGE: "Ask for fewer files in its config, such as no thumbnails.",
  IMPORT_FAILED: "Check that the address still leads to the video.",
  WORKER_LOST: "The workers that took it were lost. Try it again, and tell the operator if that repeats.",
  PROCESSING_FAILED: "The file is not at fault. Tell the operator, who finds the job's id in the log.",
};

export function Progress({ job }) {
  const stage = job.status === "queued" ? "Waiting for a worker" : sentence(job.current_stage ?? "starting");
  return html`
    <section class="state card" aria-labelledby="progress-title">
      <h2 id="progress-title" aria-live="polite">${stage}</h2>
      <p class="big-number">${job.progress_percent} %</p>
      <${Bar} value=${job.progress_percent} label="Progress" />
      <ol class="stages">${stagesOf(job).map((stage) => html`<${Stage} key=${stage.name} stage=${stage} />`)}</ol>
    </section>`;
}

function stagesOf({ current_stage: current, config }) {
  const renders = config.render || (config.clips && config.clips.render !== false);
  const stages = renders ? [...STAGES, "rendering"] : STAGES;
  const names = current && !stages.includes(current) ? [current, ...stages] : stages;
  const at = names.indexOf(current);
  return names.map((name, index) => ({ name, state: index < at ? "done" : index === at ? "current" : "ahead" }));
}

function Stage({ stage }) {
  const current = stage.state === "current" ? "step" : null;
  return html`<li class="stage-${stage.state}" aria-current=${current}>${sentence(stage.name)}</li>`;
}

export function Outcome({ job, status }) {
  const { title, text, advice } = { failed: failure, cancelled: cancellation, expired: expiry }[status](job);
  return html`
    <section class="state card state-${status}" aria-labelledby="outcome-title">
      <h2 id="outcome-title">${title}</h2>
      <p>${text}</p>
      ${advice && html`<p class="muted">${advice}</p>`}
      <p class="muted"><${Moment} at=${job.finished_at} before="Finished " />${where(job)}</p>
    </section>`;
}

const failure = ({ error }) => ({
  title: "This job failed",
  text: error.message,
  advice: ADVICE[error.code],
});

const cancellation = () => ({
  title: "This job was cancelled",
  text: "It has no result. A retry analyses the video from the beginning.",
});

const expiry = () => ({
  title: "The result has expired",
  text: "The job was completed, and its files were removed after the time that this server keeps them.",
  advice: "If the video is still there, it can be analysed again.",
});

function where({ error }) {
  if (!error) return null;
  return html` · <code>${error.code}</code>${error.stage && html` in ${sentence(error.stage).toLowerCase()}`}`;
}
