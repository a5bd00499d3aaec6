// Exports: the shots or the clips as files for editing programs and players, made by the server when asked for.
import { html, useState } from "./vendor/htm-preact.js";
import { call } from "./api.js";

const FORMATS = [
  ["otio", "OTIO", "DaVinci Resolve 18.5 and newer, Kdenlive, Flame, Nuke Studio, Hiero"],
  ["fcp7", "FCP 7 XML", "Premiere Pro; DaVinci Resolve too"],
  ["fcpxml", "FCPXML", "Final Cut Pro; DaVinci Resolve too"],
  ["edl", "EDL", "nearly every program, older ones too: Avid, Premiere Pro, DaVinci Resolve"],
  ["csv", "CSV", "spreadsheets"],
  ["vtt", "WebVTT", "chapters for players of web pages"],
  ["ffmetadata", "FFmetadata", "chapters that FFmpeg writes into a file"],
];

export function Exports({ job, result }) {
  const hasClips = result.output.clips.length > 0;
  const [of, setOf] = useState(hasClips ? "clips" : "shots");
  const [error, setError] = useState(null);
  const download = async (format) => {
    setError(null);
    try {
      save(await call(`jobs/${job.job_id}/export/${format}?of=${of}`));
    } catch (problem) {
      setError(problem.message);
    }
  };
  return html`
    <section aria-labelledby="exports-title">
      <h2 id="exports-title">Exports for editing programs</h2>
      <details>
        <summary>${hasClips ? "The clips or the shots" : "The shots"} as a timeline</summary>
        ${hasClips && html`<${Choice} of=${of} setOf=${setOf} />`}
        <ul class="exports">
          ${FORMATS.map(
            ([format, name, programs]) => html`
            <li><button type="button" class="button" onClick=${() => download(format)}>${name}</button>
              <span class="muted">${programs}</span></li>`,
          )}
        </ul>
        ${error && html`<p class="error" role="alert">${error}</p>`}
      </details>
    </section>`;
}

function Choice({ of, setOf }) {
  return html`
    <label class="field-inline"><span>Timeline of</span>
      <select value=${of} onChange=${(event) => setOf(event.target.value)}>
        <option value="clips">the clips, one after the other</option>
        <option value="shots">the whole video, cut at its shots</option>
      </select>
    </label>`;
}

/** Offer an answer as a download. It was asked for by script, since a link has no API key. */
async function save(answer) {
  const link = document.createElement("a");
  link.download = filenameOf(answer);
  link.href = URL.createObjectURL(await answer.blob());
  link.click();
  URL.revokeObjectURL(link.href);
}

function filenameOf(answer) {
  const disposition = answer.headers.get("Content-Disposition") ?? "";
  const [, quoted] = /filename="([^"]+)"/.exec(disposition) ?? [];
  const [, encoded] = /filename\*=UTF-8''([^;]+)/.exec(disposition) ?? [];
  return encoded ? decodeURIComponent(encoded) : (quoted ?? "export");
}
