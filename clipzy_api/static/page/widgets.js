// Small parts that several views share.
import { html, useEffect, useRef } from "./vendor/htm-preact.js";
import { ago, moment } from "./format.js";

const STATUS_WORDS = {
  queued: "Queued",
  processing: "Processing",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
  expired: "Expired",
};

/** A job's status, or `expired` for a completed one whose result is gone. */
export const statusOf = (job) => (job.status === "completed" && !job.result ? "expired" : job.status);

export function Badge({ status }) {
  return html`<span class="badge badge-${status}">${STATUS_WORDS[status] ?? status}</span>`;
}

export function Bar({ value, label }) {
  return html`<progress max="100" value=${value} aria-label=${label}>${value} %</progress>`;
}

export function Moment({ at, before = "" }) {
  return html`<time datetime=${at} title=${moment(at)}>${before}${ago(at)}</time>`;
}

/** Something went wrong, or is worth knowing; `retry` adds a button. */
export function Notice({ kind = "info", title, children, retry }) {
  return html`
    <div class="notice notice-${kind}" role=${kind === "bad" ? "alert" : "status"}>
      <div>
        ${title && html`<strong>${title}</strong>`}
        <p>${children}</p>
      </div>
      ${retry && html`<button type="button" class="button" onClick=${retry}>Try again</button>`}
    </div>`;
}

/** A modal dialog, open as long as it is shown; Escape closes it. */
export function Dialog({ title, onClose, children }) {
  const element = useRef(null);
  useEffect(() => element.current.showModal(), []);
  return html`
    <dialog ref=${element} aria-labelledby="dialog-title" onCancel=${(event) => (event.preventDefault(), onClose())}>
      <h2 id="dialog-title">${title}</h2>
      ${children}
    </dialog>`;
}
