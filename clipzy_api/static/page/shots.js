// The shots as a strip of stills, with camera and colours; each leads to its beginning.
import { html, useEffect, useRef } from "./vendor/htm-preact.js";
import { cameraIn } from "./camera.js";
import { clock, sentence } from "./format.js";
import { thumbnailsByShot } from "./result.js";
import { useStore } from "./store.js";

export function Shots({ result, playhead }) {
  const { shots } = result.output;
  const stills = thumbnailsByShot(result);
  const current = useCurrentShot(playhead, shots);
  const list = useRef(null);
  useEffect(() => keepInSight(list.current, list.current?.children[current]), [current]);
  return html`
    <section aria-labelledby="shots-title">
      <h2 id="shots-title">Shots <span class="count">${shots.length}</span></h2>
      <ol class="shots" ref=${list}>
        ${shots.map(
          (shot) => html`
          <${Shot} key=${shot.index} shot=${shot} still=${stills.get(shot.index)}
            isCurrent=${shot.index === current} onOpen=${() => playhead.seek(shot.start_seconds)} />`,
        )}
      </ol>
    </section>`;
}

/** The index of the shot under the playhead. */
function useCurrentShot(playhead, shots) {
  return shotAt(shots, useStore(playhead.time))?.index ?? 0;
}

export function shotAt(shots, seconds) {
  return shots.findLast((shot) => shot.start_seconds <= seconds + 1e-6);
}

/** Scroll the strip, and not the page. */
function keepInSight(list, item) {
  if (!item) return;
  const left = item.offsetLeft - list.offsetLeft;
  const isInSight = left >= list.scrollLeft && left + item.offsetWidth <= list.scrollLeft + list.clientWidth;
  if (!isInSight) list.scrollTo({ left: left - item.offsetWidth / 2 });
}

function Shot({ shot, still, isCurrent, onOpen }) {
  const camera = cameraIn(shot);
  const isSoft = ["fade", "dissolve"].includes(shot.transition);
  const band = ({ hex, share }) => html`<i style=${{ background: hex, flexGrow: share * 100 }}></i>`;
  const length = (shot.end_seconds - shot.start_seconds).toFixed(1);
  return html`
    <li>
      <button type="button" class="shot" aria-current=${isCurrent ? "true" : null} onClick=${onOpen}>
        ${
          still
            ? html`<img src=${still} alt="" loading="lazy" decoding="async" />`
            : html`<span class="shot-blank"></span>`
        }
        <span class="palette" aria-hidden="true">
          ${(shot.color?.dominant ?? []).map(band)}
        </span>
        <span class="shot-text">
          <strong><span class="hidden">Shot </span>${shot.index + 1}</strong>
          <span>${clock(shot.start_seconds, { tenths: true })}</span>
          <span class="muted">${length} s</span>
        </span>
        <span class="shot-camera muted">
          ${camera ? html`<span aria-hidden="true">${camera.sign} </span>${sentence(camera.name)}` : "–"}
          ${isSoft && html`<em>${shot.transition}</em>`}
        </span>
      </button>
    </li>`;
}
