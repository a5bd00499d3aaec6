// What the score of a clip is made of: a bar of all parts, and a table that says it in figures.
import { html } from "./vendor/htm-preact.js";
import { number, percent, sentence } from "./format.js";

/** Of each part; as docs/clips.md says it at length. */
const MEANING = {
  speech: "how much of it is speech that its edges do not cut",
  energy: "how loud it is in this video",
  surprise: "how far the loudness rises at once",
  motion: "how much moves in this video",
  novelty: "how unlike the other shots it looks",
  picture: "light, contrast and sharpness",
  rhythm: "how sure the beats are, and how many cuts are on them",
};

export function ClipScore({ clip, name }) {
  const parts = [...clip.parts].sort((one, other) => other.points - one.points);
  const band = (part) => html`<i class="part-${part.name}" style=${{ width: `${part.points}%` }}></i>`;
  return html`
    <div class="score">
      <p><strong>${number(clip.score)}</strong><span class="muted"> of 100, weighed for ${clip.profile}</span></p>
      <div class="score-bar" aria-hidden="true">${parts.map(band)}</div>
      <table>
        <caption class="hidden">What the score of ${name} is made of</caption>
        <thead><tr><th scope="col">Part</th><th scope="col">Value</th><th scope="col">Weight</th>
          <th scope="col">Points</th></tr></thead>
        <tbody>${parts.map(row)}</tbody>
      </table>
    </div>`;
}

const row = ({ name, value, weight, points }) => html`
  <tr title=${MEANING[name]}>
    <th scope="row"><i class="part-${name}" aria-hidden="true"></i>${sentence(name)}</th>
    <td>${percent(value)}</td><td>× ${percent(weight)}</td><td>${number(points)}</td>
  </tr>`;
