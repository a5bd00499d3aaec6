// What the file is, and its main figures.
import { html } from "./vendor/htm-preact.js";
import { clock, number, percent, size } from "./format.js";

export function Facts({ output }) {
  return html`
    <section class="facts card" aria-labelledby="facts-title">
      <h2 id="facts-title">At a glance</h2>
      <dl>${factsOf(output).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    </section>`;
}

function factsOf({ source, shots, audio, motion }) {
  const facts = [
    ["Duration", clock(source.duration_seconds, { tenths: true })],
    ["Picture", `${source.width} × ${source.height}`],
    ["Frame rate", source.frame_rate && `${number(source.frame_rate)} fps`],
    ["Format", [source.container, source.video_codec, source.audio_codec].filter(Boolean).join(" · ")],
    ["Size", size(source.size_bytes)],
    ["Shots", number(shots.length)],
    ["Motion", motion && `${Math.round(motion.intensity)} of 100`],
    ["Loudness", figure(audio?.integrated_lufs, "LUFS")],
    ["True peak", figure(audio?.true_peak_dbtp, "dBTP")],
    ["Tempo", figure(audio?.tempo_bpm, "bpm")],
    ["Speech", audio && percent(audio.speech_ratio)],
  ];
  return facts.filter(([, value]) => value);
}

const figure = (value, unit) => (value === null || value === undefined ? null : `${number(value)} ${unit}`);
