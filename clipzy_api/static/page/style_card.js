// The Style DNA as something to read: figures as marks on scales, with a word for where they lie.
import { html } from "./vendor/htm-preact.js";
import { number, percent, words } from "./format.js";

/** The words for the two ends of each scale from -100 to 100. */
const GRADE = {
  temperature: ["cool", "warm"],
  tint: ["green", "magenta"],
  saturation: ["muted", "vivid"],
  contrast: ["flat", "hard"],
  highlights: ["held back", "bright"],
  shadows: ["deep", "lifted"],
};
/** The words for figures: each up to its limit. */
const PACE = [
  [3, "unhurried"],
  [10, "steady"],
  [25, "brisk"],
  [Infinity, "rapid"],
];
const MOTION = [
  [15, "calm"],
  [40, "moderate"],
  [65, "lively"],
  [100, "restless"],
];
const SHARE = [
  [1, "none"],
  [15, "a little"],
  [40, "some"],
  [70, "much"],
  [100, "most of the time"],
];
const LEVEL = [
  [25, "quiet"],
  [50, "moderate"],
  [75, "loud"],
  [100, "very loud"],
];
const BASS = [
  [20, "light"],
  [50, "balanced"],
  [75, "strong"],
  [100, "dominant"],
];
const SYNC = [
  [10, "by chance"],
  [40, "now and then"],
  [75, "often"],
  [100, "nearly always"],
];
const RANGE = [
  [1.5, "wide dynamics"],
  [3, "natural"],
  [6, "compressed"],
  [Infinity, "flat, constant"],
];

export function StyleCard({ style, palette }) {
  return html`
    <section class="style card" aria-labelledby="style-title">
      <div class="style-head">
        <h2 id="style-title">Style DNA</h2>
        <p class="muted">${percent(style.extraction_confidence)} confidence · ${style.aspect_ratio}${rate(style)}</p>
      </div>
      ${palette.length > 0 && html`<${Palette} colors=${palette} />`}
      <div class="style-groups">
        <${Group} title="Look">${looks(style)}</${Group}>
        <${Group} title="Pace">${paces(style)}</${Group}>
        <${Group} title="Sound">${sounds(style)}</${Group}>
      </div>
    </section>`;
}

const rate = ({ frame_rate: rate }) => (rate ? ` · ${number(rate)} fps` : "");

function Palette({ colors }) {
  const bands = colors.map(
    ({ hex, share }) =>
      html`<i style=${{ background: hex, flexGrow: share * 100 }} title=${`${hex}, ${percent(share)}`}></i>`,
  );
  const label = `Main colours: ${colors.map(({ hex }) => hex).join(", ")}`;
  return html`<div class="palette palette-large" role="img" aria-label=${label}>${bands}</div>`;
}

function Group({ title, children }) {
  return html`<div class="style-group"><h3>${title}</h3><dl>${children}</dl></div>`;
}

function looks({ color_grade: grade }) {
  if (!grade) return html`<${Row} name="Grade" value="not measured" />`;
  return Object.entries(GRADE).map(([name, ends]) => {
    const value = grade[name];
    const word = Math.abs(value) < 10 ? "neutral" : ends[value < 0 ? 0 : 1];
    return html`<${Row} name=${name} value=${word} figure=${signed(value)}><${Scale} value=${value} /></${Row}>`;
  });
}

function paces(style) {
  const cuts = style.cut_frequency;
  return [
    html`
      <${Row} name="cuts" value=${wordFor(PACE, cuts)} figure=${`${number(cuts)}/min`} />`,
    html`<${Row} name="transitions" value=${transitionsIn(style)} />`,
    measured("motion", style.motion_intensity, MOTION),
    measured("zoom", style.zoom_usage, SHARE),
    style.tempo_bpm !== null && html`<${Row} name="tempo" value=${`${number(style.tempo_bpm)} bpm`} />`,
    style.beat_sync !== null && measured("cuts on beats", style.beat_sync * 100, SYNC),
  ];
}

function sounds({ audio_style: audio }) {
  if (!audio) return html`<${Row} name="Sound" value="none" />`;
  return [
    audio.normalization_level !== null && measured("loudness", audio.normalization_level * 100, LEVEL),
    audio.compression_ratio !== null &&
      html`
      <${Row} name="compression" value=${wordFor(RANGE, audio.compression_ratio)}
        figure=${`${number(audio.compression_ratio)} : 1`} />`,
    measured("bass", audio.bass_boost, BASS),
    measured("speech", audio.speech_ratio === null ? null : audio.speech_ratio * 100, SHARE),
  ];
}

/** A figure from 0 to 100, with a bar. */
function measured(name, value, scale) {
  if (value === null || value === undefined) return html`<${Row} name=${name} value="not measured" />`;
  return html`
    <${Row} name=${name} value=${wordFor(scale, value)} figure=${Math.round(value)}>
      <span class="scale"><i style=${{ left: 0, width: `${Math.min(100, value)}%` }}></i></span>
    </${Row}>`;
}

function Row({ name, value, figure, children }) {
  return html`
    <div class="style-row"><dt>${words(name)}</dt><dd>${value}</dd><dd class="muted">${figure}</dd>
      <dd class="style-scale" aria-hidden="true">${children}</dd></div>`;
}

/** A bar from the middle of a scale to the value. */
function Scale({ value }) {
  const half = Math.min(100, Math.abs(value)) / 2;
  const bar = { left: `${value < 0 ? 50 - half : 50}%`, width: `${half}%` };
  return html`<span class="scale scale-centred"><i style=${bar}></i></span>`;
}

const signed = (value) => `${value > 0 ? "+" : ""}${Math.round(value)}`.replace("-", "−");

const wordFor = (scale, value) => scale.find(([limit]) => value <= limit)[1];

function transitionsIn({ primary_transition: first, secondary_transition: second }) {
  if (!first) return "none";
  const length = (one) => (one.duration_ms ? `${one.type} of ${number(one.duration_ms / 1000)} s` : one.type);
  return second ? `${length(first)}, then ${length(second)}` : length(first);
}
