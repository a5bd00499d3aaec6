// The clips of a job, the best first: each plays here, says what its score is made of, and leads to its place.
import { html } from "./vendor/htm-preact.js";
import { ClipScore } from "./clip_score.js";
import { clock, number, percent } from "./format.js";
import { DownloadButton } from "./downloads.js";
import { thumbnailsByShot } from "./result.js";
import { ResultVideo } from "./result_video.js";

const EDGES = {
  shot: "at a shot",
  pause: "in a pause",
  beat: "on a beat",
  grid: "without a mark",
  asked: "as asked",
  end: "with the video",
};
const FILLS = {
  still: (share) => `${share} of the picture`,
  fit: () => "whole picture on a blurred copy",
};

export function Clips({ result, playhead }) {
  const { clips } = result.output;
  const stills = thumbnailsByShot(result);
  const sorted = [...clips].sort((one, other) => (one.rank ?? one.index) - (other.rank ?? other.index));
  return html`
    <section aria-labelledby="clips-title">
      <h2 id="clips-title">Clips <span class="count">${clips.length}</span></h2>
      <ol class="clips">
        ${sorted.map(
          (clip) => html`
          <${ClipCard} key=${clip.index} clip=${clip} result=${result} playhead=${playhead}
            still=${stills.get(clip.shots[0])} />`,
        )}
      </ol>
    </section>`;
}

function ClipCard({ clip, result, playhead, still }) {
  const name = `Clip ${clip.index + 1}`;
  const files = result.output.artifacts.filter((artifact) => artifact.clip === clip.index);
  const file = (kind) => files.find((artifact) => artifact.kind === kind);
  const showInVideo = () => {
    playhead.seek(clip.start_seconds);
    document.querySelector(".watch").scrollIntoView({ block: "nearest" });
  };
  return html`
    <li class="card clip-card">
      <div class="clip-picture">
        ${
          file("clip")
            ? html`
            <${ResultVideo} result=${result} name=${file("clip").name} poster=${file("clip_poster")?.name}
              captions=${file("clip_subtitles")?.name} label=${name} size=${clip} />`
            : still && html`<img src=${still} alt="" loading="lazy" />`
        }
      </div>
      <div class="clip-text">
        <div class="clip-head">
          <h3>${name}</h3>
          ${clip.rank !== null && html`<span class="badge">rank ${clip.rank}</span>`}
          <span class="figure">${clock(clip.start_seconds, { tenths: true })} to
            ${` ${clock(clip.end_seconds, { tenths: true })}`}</span>
        </div>
        <p class="muted">${factsOf(clip).join(" · ")}</p>
        ${clip.score !== null && html`<${ClipScore} clip=${clip} name=${name} />`}
        ${clip.warnings.map((warning) => html`<p class="warning">${warning}</p>`)}
        <p class="clip-actions">
          <button type="button" class="button" onClick=${showInVideo}>Show in the video
            <span class="hidden">: ${name}</span></button>
          ${file("clip") && html`<${DownloadButton} artifact=${file("clip")} result=${result} />`}
        </p>
      </div>
    </li>`;
}

function factsOf(clip) {
  const { start, end } = clip.edges;
  const [first, last] = clip.shots.map((shot) => shot + 1);
  return [
    `${number(clip.duration_seconds)} s`,
    first === last ? `shot ${first}` : `shots ${first} to ${last}`,
    ...picture(clip),
    `begins ${EDGES[start.kind]}`,
    `ends ${EDGES[end.kind]}`,
  ];
}

/** What a rendered file shows and how loud it is, in words. */
export function picture({ width, height, frame_rate: rate, reframe, loudness }) {
  const facts = [width && `${width} × ${height}`, rate && `${number(rate)} fps`];
  if (reframe) facts.push(FILLS[reframe.mode]?.(percent(reframe.kept_percent / 100)));
  if (loudness && loudness.after_lufs !== null) facts.push(`${number(loudness.after_lufs)} LUFS`);
  return facts.filter(Boolean);
}
