// One job of the list.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
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

/** The first thumbnail. */
function Still({ job }) {
  const [isBroken, setBroken] = useState(false);
  const path = job.result && `jobs/${job.job_id}/files/${stillOf(job.config.thumbnails)}`;
  if (!path || isBroken) return html`<span class="still" aria-hidden="true"></span>`;
  if (ASKS_FOR_KEYS) return html`<${FetchedStill} path=${path} />`;
  return html`
    <img class="still" src=${address(path)} alt="" loading="lazy" decoding="async" onError=${() => setBroken(true)} />`;
}

/** Where keys are asked for, which an image cannot send: fetched as soon as it is in sight. */
function FetchedStill({ path }) {
  const [link, setLink] = useState(null);
  const element = useRef(null);
  useEffect(() => {
    const control = new AbortController();
    const load = async () => setLink(URL.createObjectURL(await (await call(path, { signal: control.signal })).blob()));
    const observer = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      observer.disconnect();
      load().catch(() => {}); // the row has a blank place then
    });
    observer.observe(element.current);
    return () => (control.abort(), observer.disconnect());
  }, [path]);
  useEffect(() => () => link && URL.revokeObjectURL(link), [link]);
  return html`<span class="still" ref=${element}>${link && html`<img class="still" src=${link} alt="" />`}</span>`;
}

function stillOf(thumbnails) {
  return { none: "poster.jpg", interval: "intervals/00000.jpg" }[thumbnails?.per] ?? "shots/0000.jpg";
}
