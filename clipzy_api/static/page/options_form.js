// The options of the next uploads: which clips, and whether the whole video is rendered.
import { html, useEffect, useRef } from "./vendor/htm-preact.js";
import { mistakeIn, options } from "./job_options.js";
import { Store, useStore } from "./store.js";

const CLIPS = { "": "none", best: "the best moments", ranges: "exactly these sections" };
const PROFILES = { auto: "by what is measured", talk: "talk", action: "action", music: "music" };
const SHAPES = {
  source: "as the video",
  "16:9": "16:9, wide",
  "9:16": "9:16, upright",
  "1:1": "1:1, square",
  "4:5": "4:5, portrait",
};
const REFRAMES = { center: "middle of the picture", fit: "all of it, on a blurred copy" };
const QUALITIES = { draft: "draft, small and fast", standard: "standard", high: "high, for editing" };
const LOUDNESS = {
  "": "as it is",
  "-14": "−14 LUFS, web video",
  "-16": "−16 LUFS, podcasts",
  "-23": "−23 LUFS, broadcast",
};
const RENDERS = {
  "": "not rendered",
  h264: "H.264, plays everywhere",
  hevc: "HEVC, smaller, slower",
  av1: "AV1, smaller, slower",
};

function set(name, value) {
  options.set({ ...options.value, [name]: value });
  if (isRefused.value && !mistakeIn(options.value)) isRefused.set(false);
}

/** Set when files were not added because of a mistake in the form, until it is mended. */
export const isRefused = new Store(false);

export function Options() {
  const form = useStore(options);
  const refused = useStore(isRefused);
  const element = useRef(null);
  useEffect(() => void (refused && (element.current.open = true)), [refused]);
  const makes = form.clips || form.render;
  return html`
    <details class="options" ref=${element}>
      <summary>Clips and rendering: ${summaryOf(form)}</summary>
      ${refused && html`<p class="error" role="alert">Nothing was uploaded. ${mistakeIn(form)}</p>`}
      <div class="options-form">
        <fieldset><legend>Made of each video</legend>
          <${Select} name="clips" label="Clips" value=${form.clips} choices=${CLIPS} />
          <${Select} name="render" label="Whole video" value=${form.render} choices=${RENDERS} />
        </fieldset>
        ${form.clips === "best" && html`<${Best} form=${form} />`}
        ${form.clips === "ranges" && html`<${Ranges} value=${form.ranges} />`}
        ${makes && html`<${Rendition} form=${form} />`}
      </div>
    </details>`;
}

function Best({ form: { count, shortest, longest, profile } }) {
  return html`
    <fieldset><legend>Clips of the best moments</legend>
      <${Amount} name="count" label="At most" value=${count} max="20" />
      <${Amount} name="shortest" label="Shortest (s)" value=${shortest} max="600" step="any" />
      <${Amount} name="longest" label="Longest (s)" value=${longest} max="600" step="any" />
      <${Select} name="profile" label="Kind of video" value=${profile} choices=${PROFILES} />
    </fieldset>`;
}

function Rendition({ form: { shape, reframe, quality, loudness } }) {
  return html`
    <fieldset><legend>Picture and sound</legend>
      <${Select} name="shape" label="Shape" value=${shape} choices=${SHAPES} />
      ${
        shape !== "source" && html`<${Select} name="reframe" label="Shows" value=${reframe} choices=${REFRAMES} />`
      }
      <${Select} name="quality" label="Quality" value=${quality} choices=${QUALITIES} />
      <${Select} name="loudness" label="Loudness" value=${loudness} choices=${LOUDNESS} />
    </fieldset>`;
}

function Select({ name, label, value, choices }) {
  return html`
    <label class="field"><span>${label}</span>
      <select name=${name} value=${value} onChange=${(event) => set(name, event.target.value)}>
        ${Object.entries(choices).map(([key, text]) => html`<option value=${key}>${text}</option>`)}
      </select>
    </label>`;
}

function Amount({ name, label, value, max, step = "1" }) {
  return html`
    <label class="field"><span>${label}</span>
      <input type="number" name=${name} value=${value} min="1" max=${max} step=${step}
        onInput=${(event) => set(name, event.target.value)} />
    </label>`;
}

function Ranges({ value }) {
  return html`
    <label class="field options-ranges"><span>Sections, one a line: from, to</span>
      <textarea name="ranges" rows="3" spellcheck="false" placeholder="0:10 - 0:25.5" value=${value}
        onInput=${(event) => set("ranges", event.target.value)}></textarea>
    </label>`;
}

function summaryOf(form) {
  const made = [
    form.clips === "best" && `up to ${form.count} clips`,
    form.clips === "ranges" && "clips of given sections",
    form.render && "the whole video",
  ].filter(Boolean);
  return made.length ? made.join(", ") : "none";
}
