// The result of a completed job: the player above its timeline, and what was measured.
import { html, useEffect, useMemo, useState } from "./vendor/htm-preact.js";
import { Clips } from "./clips.js";
import { Downloads } from "./downloads.js";
import { Exports } from "./exports.js";
import { Facts } from "./facts.js";
import { Player } from "./player.js";
import { Playhead } from "./playhead.js";
import { Rendered } from "./rendered.js";
import { readResult } from "./result.js";
import { playOneAtATime } from "./result_video.js";
import { Shots } from "./shots.js";
import { StyleCard } from "./style_card.js";
import { Timeline } from "./timeline.js";
import { Notice } from "./widgets.js";

export function ResultView({ job }) {
  const { result, problem, ask } = useResult(job.job_id);
  if (problem) return html`<${Notice} kind="bad" retry=${ask}>${problem.message}</${Notice}>`;
  if (!result) return html`<p class="nothing">Loading the result…</p>`;
  return html`<${Shown} job=${job} result=${result} />`;
}

function Shown({ job, result }) {
  const { output } = result;
  const playhead = useMemo(() => new Playhead(output.source.duration_seconds), [result]);
  useEffect(() => () => playhead.stop(), [playhead]);
  useEffect(playOneAtATime, []);
  return html`
    ${
      result.isIncomplete &&
      html`
      <${Notice} title="Some files cannot be read from here.">
        If the storage is S3, the bucket needs a CORS rule that allows GET from this page’s origin.
      </${Notice}>`
    }
    <div class="watch">
      <${Player} job=${job} result=${result} playhead=${playhead} />
      <${Facts} output=${output} />
    </div>
    <${Timeline} result=${result} playhead=${playhead} />
    ${output.clips.length > 0 && html`<${Clips} result=${result} playhead=${playhead} />`}
    ${output.render && html`<${Rendered} result=${result} />`}
    <${Shots} result=${result} playhead=${playhead} />
    ${output.style && html`<${StyleCard} style=${output.style} palette=${output.color?.dominant ?? []} />`}
    ${
      output.warnings.length > 0 &&
      html`
      <section class="card" aria-labelledby="warnings-title">
        <h2 id="warnings-title">Irregularities of the file</h2>
        <ul>${output.warnings.map((warning) => html`<li>${warning}</li>`)}</ul>
      </section>`
    }
    <${Exports} job=${job} result=${result} />
    <${Downloads} job=${job} result=${result} />`;
}

function useResult(jobId) {
  const [result, setResult] = useState(null);
  const [problem, setProblem] = useState(null);
  const ask = (signal) => {
    setProblem(null);
    readResult(jobId, signal).then(setResult, (error) => error.name === "AbortError" || setProblem(error));
  };
  useEffect(() => {
    const control = new AbortController();
    ask(control.signal);
    return () => control.abort();
  }, [jobId]);
  return { result, problem, ask: () => ask() };
}
