// One job of the list.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { address, call } from "./api.js";
import { sentence, span } from "./format.js";
import { ASKS_FOR_KEYS } from "./key.js";
import { jobLink } from "./route.js";
import { Badge, Bar, Moment, statusOf } from "./widgets.js";

export function JobRow({ job }) {
  const status = statusOf(job);
  return html`
    <li class="job">
      <a href=${jobLink(job.job_id)}>
        <${Still} job=${job} />
        <span class="job-text">
          <strong class="filename">${job.filename}</strong>
          <span class="muted"><${Details} job=${job} /></span>
        </span>
        <span class="job-status">
          ${
            job.status === "processing" &&
            html`
            <${Bar} value=${job.progress_percent} label=${`Progress of ${job.filename}`} />`
          }
          <${Badge} status=${status} />
        </span>
      </a>
    </li>`;
}

function Details({ job }) {
  if (job.status === "processing") {
    return html`${job.progress_percent} % · ${job.current_stage ? sentence(job.current_stage) : "Starting"}`;
  }
  if (job.status === "queued") return html`<${Moment} at=${job.created_at} before="Submitted " />`;
  if (job.error) return html`<span class="clip">${job.error.message}</span>`;
  const took = job.started_at && (Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000;
  const duration = job.status === "completed" && took > 0 ? ` · took ${span(took)}` : "";
  return html`<${Moment} at=${job.finished_at} />${duration}`;
}

/** The first thumbnail. Where keys are asked for, an image cannot send one: it is fetched, once it is in sight. */
function Still({ job }) {
  const [isBroken, setBroken] = useState(false);
  const link = useStill(job);
  if (!link || isBroken) return html`<span class="still" aria-hidden="true"></span>`;
  return html`
    <img class="still" src=${link} alt="" loading="lazy" decoding="async" onError=${() => setBroken(true)} />`;
}

function useStill(job) {
  const [fetched, setFetched] = useState(null);
  const path = job.result && `jobs/${job.job_id}/files/${stillOf(job.config.thumbnails)}`;
  useEffect(() => {
    if (!ASKS_FOR_KEYS || !path) return undefined;
    const control = new AbortController();
    let url = null;
    call(path, { signal: control.signal })
      .then((answer) => answer.blob())
      .then((blob) => setFetched((url = URL.createObjectURL(blob))))
      .catch(() => {}); // the row has a blank place then
    return () => (control.abort(), url && URL.revokeObjectURL(url));
  }, [path]);
  return ASKS_FOR_KEYS ? fetched : path && address(path);
}

function stillOf(thumbnails) {
  return { none: "poster.jpg", interval: "intervals/00000.jpg" }[thumbnails?.per] ?? "shots/0000.jpg";
}
