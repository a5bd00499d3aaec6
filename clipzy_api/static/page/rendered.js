// The rendered version of the whole video.
import { html } from "./vendor/htm-preact.js";
import { picture } from "./clips.js";
import { DownloadButton } from "./downloads.js";
import { clock } from "./format.js";
import { ResultVideo } from "./result_video.js";

export function Rendered({ result }) {
  const { render, artifacts } = result.output;
  const file = artifacts.find((artifact) => artifact.kind === "render");
  const facts = [clock(render.duration_seconds, { tenths: true }), render.video_codec, ...picture(render)];
  return html`
    <section aria-labelledby="rendered-title">
      <h2 id="rendered-title">The whole video, rendered</h2>
      <div class="card clip-card">
        <div class="clip-picture">
          <${ResultVideo} result=${result} name=${file.name} poster="poster.jpg" label="Rendered video"
            size=${render} />
        </div>
        <div class="clip-text">
          <p class="muted">${facts.join(" · ")}</p>
          ${render.warnings.map((warning) => html`<p class="warning">${warning}</p>`)}
          <p class="clip-actions"><${DownloadButton} artifact=${file} result=${result} /></p>
        </div>
      </div>
    </section>`;
}
