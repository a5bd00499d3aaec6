// Choosing and dropping files, and what becomes of them on their way.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { size, span } from "./format.js";
import { configOf, mistakeIn, options } from "./job_options.js";
import { Options, isRefused } from "./options_form.js";
import { jobLink } from "./route.js";
import { Store, useStore } from "./store.js";
import * as queue from "./upload_queue.js";
import { Bar } from "./widgets.js";

const FORMATS = ".mp4,.m4v,.mov,.avi,.mkv,.webm,video/*";
const chosenQueue = new Store("interactive");

/** Add these files with the options that are chosen, if those make sense. */
function add(files, onJob) {
  if (!files.length) return;
  isRefused.set(Boolean(mistakeIn(options.value)));
  if (isRefused.value) return;
  queue.addFiles(files, { queue: chosenQueue.value, config: configOf(options.value) }, onJob);
}

/** Upload the demo, and open its job: for somebody who has no video at hand. */
async function addDemo() {
  const answer = await fetch("page/demo.mp4");
  const file = new File([await answer.blob()], "demo.mp4", { type: "video/mp4", lastModified: 0 });
  add([file], (job) => (location.hash = jobLink(job.job_id)));
}

/** The place on the list where files are chosen; large while there is nothing else to show. */
export function Chooser({ isLarge }) {
  const input = useRef(null);
  const selected = useStore(chosenQueue);
  const choose = (event) => {
    add(event.target.files);
    event.target.value = "";
  };
  return html`
    <section class="chooser ${isLarge ? "chooser-large" : ""}" aria-label="Upload">
      <p><strong>Drop videos here</strong><span class="muted">mp4, mov, avi, mkv or webm</span></p>
      <div class="chooser-actions">
        <label class="field-inline"><span>Queue</span>
          <select value=${selected} onChange=${(event) => chosenQueue.set(event.target.value)}>
            <option value="interactive">interactive</option>
            <option value="batch">batch, may wait</option>
          </select>
        </label>
        <button type="button" class="button button-primary" onClick=${() => input.current.click()}>Choose files</button>
        ${isLarge && html`<button type="button" class="button" onClick=${addDemo}>Try the demo video</button>`}
        <input ref=${input} type="file" multiple accept=${FORMATS} hidden onChange=${choose} aria-label="Videos" />
      </div>
      <${Options} />
    </section>`;
}

/** Takes files that are dropped anywhere on the page. */
export function DropTarget() {
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    const isFiles = (event) => event.dataTransfer?.types.includes("Files");
    const listeners = {
      dragover: (event) => isFiles(event) && (event.preventDefault(), setOver(true)),
      dragleave: (event) => event.relatedTarget || setOver(false),
      drop(event) {
        if (!isFiles(event)) return;
        event.preventDefault();
        setOver(false);
        add(event.dataTransfer.files);
        location.hash = "#/";
      },
    };
    for (const [name, listener] of Object.entries(listeners)) addEventListener(name, listener);
    return () => Object.entries(listeners).forEach(([name, listener]) => removeEventListener(name, listener));
  }, []);
  return isOver && html`<div class="drop-target" aria-hidden="true">Drop to upload</div>`;
}

export function Uploads() {
  const entries = useStore(queue.uploads);
  const unfinished = useStore(queue.unfinished);
  useEffect(() => void queue.findUnfinished(), []);
  if (!entries.length && !unfinished.length) return null;
  return html`
    <section aria-labelledby="uploads-title">
      <h2 id="uploads-title">Uploads</h2>
      <ul class="uploads">
        ${entries.map((entry) => html`<${Entry} key=${entry.id} entry=${entry} />`)}
        ${unfinished.map((upload) => html`<${Unfinished} key=${upload.urlStorageKey} upload=${upload} />`)}
      </ul>
    </section>`;
}

function Entry({ entry }) {
  const done = (100 * entry.sent) / Math.max(1, entry.file.size);
  return html`
    <li class="upload upload-${entry.state}">
      <div class="upload-head">
        <strong class="filename">${entry.file.name}</strong>
        <span class="upload-actions">${actionsOf(entry)}</span>
      </div>
      <${Bar} value=${Math.floor(done)} label=${`Upload of ${entry.file.name}`} />
      <p class="muted">${describe(entry)}</p>
    </li>`;
}

function actionsOf({ id, state, file }) {
  const button = (label, action) =>
    html`<button type="button" class="button" aria-label=${`${label} ${file.name}`}
      onClick=${() => action(id)}>${label}</button>`;
  if (state === "submitting") return null;
  return [
    state === "uploading" && button("Pause", queue.pause),
    state === "paused" && button("Resume", queue.resume),
    state === "failed" && button("Try again", queue.resume),
    button("Discard", queue.discard),
  ];
}

function describe({ state, sent, speed, file, error }) {
  const amount = `${size(sent)} of ${size(file.size)}`;
  if (error) return html`<span class="error" role="alert">${error}</span>`;
  if (state === "waiting") return "Waits for the uploads before it";
  if (state === "paused") return `Paused at ${amount}`;
  if (state === "submitting") return "Uploaded; its job is being submitted";
  if (!speed) return amount;
  return `${amount} · ${size(speed)}/s · ${span((file.size - sent) / speed)} left`;
}

function Unfinished({ upload }) {
  const name = upload.metadata.filename;
  return html`
    <li class="upload upload-unfinished">
      <div class="upload-head">
        <strong class="filename">${name}</strong>
        <span class="upload-actions">
          <button type="button" class="button" aria-label=${`Discard ${name}`}
            onClick=${() => queue.forgetUnfinished(upload)}>Discard</button>
        </span>
      </div>
      <p class="muted">Unfinished, ${size(upload.size)} in all. Choose the same file again to continue it.</p>
    </li>`;
}
