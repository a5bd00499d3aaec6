// The timeline: shots, loudness, motion, speech and beats over time. A click seeks, the pointer shows a preview.
import { html, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import { clock, number, sentence } from "./format.js";
import { shotAt } from "./shots.js";
import { Frame } from "./sprites.js";
import { useStore } from "./store.js";
import { GUTTER, TimelineChart } from "./timeline_chart.js";
import { laneLayout } from "./timeline_lanes.js";

const PREVIEW_WIDTH = 160;
const STEP_SECONDS = 1;
const FINE_STEP_SECONDS = 0.1;

export function Timeline({ result, playhead }) {
  const layout = useMemo(() => laneLayout(result), [result]);
  const [hovered, setHovered] = useState(null);
  const [element, chart] = useChart({ result, layout, playhead }, setHovered);
  const zoom = (label, text, action) => html`
    <button type="button" class="button" aria-label=${label} onClick=${action}>${text}</button>`;
  return html`
    <section class="timeline" aria-labelledby="timeline-title">
      <div class="section-head">
        <h2 id="timeline-title">Timeline</h2>
        <div class="zoom">
          ${zoom("Zoom in", "+", () => chart.current.zoom(0.5))}
          ${zoom("Zoom out", "−", () => chart.current.zoom(2))}
          ${zoom("Show all of the video", "All", () => chart.current.zoomOut())}
        </div>
      </div>
      <${Slider} result=${result} playhead=${playhead}>
        <div class="lane-names" aria-hidden="true">
          ${Object.entries(layout.lanes).map(
            ([name, { top, height }]) => html`
            <span style=${{ top: `${top}px`, height: `${height}px` }}>${sentence(name)}</span>`,
          )}
        </div>
        <div ref=${element} class="chart"></div>
        ${hovered && html`<${Preview} result=${result} hovered=${hovered} />`}
      </${Slider}>
      <p class="muted hint">Click to seek, drag to zoom, double-click to see all. Keys: arrows, Page Up and Page Down
        for shots, space to play.</p>
    </section>`;
}

function useChart(parts, setHovered) {
  const element = useRef(null);
  const chart = useRef(null);
  useEffect(() => {
    const onHover = (seconds, left) => setHovered(seconds === null ? null : { seconds, left });
    chart.current = new TimelineChart(element.current, { ...parts, onHover });
    const leave = () => setHovered(null);
    element.current.addEventListener("mouseleave", leave);
    const stop = parts.playhead.time.subscribe(() => chart.current.showPlayhead());
    return () => (stop(), chart.current.destroy());
  }, [parts.result]);
  return [element, chart];
}

/** What makes the canvas usable with a keyboard and readable for those who do not see it. */
function Slider({ result, playhead, children }) {
  const seconds = useStore(playhead.time);
  const { shots, source } = result.output;
  const shot = shotAt(shots, seconds);
  const shotNumber = (shot?.index ?? 0) + 1;
  const text = `${clock(seconds, { tenths: true })} of ${clock(source.duration_seconds)}, shot ${shotNumber}`;
  const press = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return; // those are the browser's own
    const action = keyAction(event, { seconds, shots, playhead });
    if (!action) return;
    event.preventDefault();
    action();
  };
  return html`
    <div class="timeline-body" role="slider" tabindex="0" aria-label="Position in the video" aria-valuemin="0"
      aria-valuemax=${source.duration_seconds} aria-valuenow=${Number(seconds.toFixed(1))} aria-valuetext=${text}
      onKeyDown=${press}>${children}</div>`;
}

function keyAction({ key, shiftKey }, { seconds, shots, playhead }) {
  const step = shiftKey ? FINE_STEP_SECONDS : STEP_SECONDS;
  const index = shotAt(shots, seconds)?.index ?? 0;
  const shot = (number) => shots[Math.min(Math.max(number, 0), shots.length - 1)].start_seconds;
  return {
    ArrowLeft: () => playhead.seek(seconds - step),
    ArrowRight: () => playhead.seek(seconds + step),
    ArrowDown: () => playhead.seek(seconds - step),
    ArrowUp: () => playhead.seek(seconds + step),
    PageUp: () => playhead.seek(shot(index - 1)),
    PageDown: () => playhead.seek(shot(index + 1)),
    Home: () => playhead.seek(0),
    End: () => playhead.seek(playhead.durationSeconds),
    " ": () => playhead.toggle(),
  }[key];
}

function Preview({ result, hovered: { seconds, left } }) {
  const { shots, source } = result.output;
  const shot = shotAt(shots, seconds);
  const place = [clock(Math.min(seconds, source.duration_seconds), { tenths: true }), shot && `shot ${shot.index + 1}`];
  const figures = [
    valueAt(
      result.loudness?.momentary_lufs,
      result.loudness?.step_seconds,
      seconds,
      (value) => `${number(value)} LUFS`,
    ),
    valueAt(result.motion?.intensity, result.motion?.step_seconds, seconds, (value) => `motion ${Math.round(value)}`),
  ].filter(Boolean);
  const margin = PREVIEW_WIDTH / 2 + 8;
  return html`
    <div class="preview" style=${{ left: `clamp(${margin}px, ${GUTTER + left}px, 100% - ${margin}px)` }}>
      ${result.sprites && html`<${Frame} sprites=${result.sprites} seconds=${seconds} width=${PREVIEW_WIDTH} />`}
      <strong>${place.filter(Boolean).join(" · ")}</strong>
      <span class="muted">${figures.join(" · ")}</span>
    </div>`;
}

function valueAt(values, stepSeconds, seconds, write) {
  const value = values?.[Math.floor(seconds / stepSeconds)];
  return value === null || value === undefined ? null : write(value);
}
