// The small frames of a video, all on one sheet; a WebVTT file says which place shows which seconds.
import { html } from "./vendor/htm-preact.js";

const CUE = /(\S+) --> (\S+)[^\n]*\n[^\n]*#xywh=(\d+),(\d+),(\d+),(\d+)/g;

/** The frames in a WebVTT map: from when, and where on the sheet. */
export function framesIn(text) {
  return [...text.matchAll(CUE)].map(([, start, , ...place]) => {
    const [x, y, width, height] = place.map(Number);
    return { startSeconds: secondsIn(start), x, y, width, height };
  });
}

function secondsIn(stamp) {
  return stamp.split(":").reduce((seconds, part) => seconds * 60 + Number(part), 0);
}

/** The frame that is shown at this time. */
export function frameAt(frames, seconds) {
  return frames.findLast((frame) => frame.startSeconds <= seconds) ?? frames[0];
}

/** One frame, scaled to a width. */
export function Frame({ sprites, seconds, width }) {
  const frame = frameAt(sprites.frames, seconds);
  const scale = width / frame.width;
  const box = { width: `${width}px`, height: `${frame.height * scale}px` };
  const picture = {
    width: `${frame.width}px`,
    height: `${frame.height}px`,
    backgroundImage: `url("${sprites.sheet}")`,
    backgroundPosition: `-${frame.x}px -${frame.y}px`,
    transform: `scale(${scale})`,
  };
  return html`<div class="frame" style=${box}><div class="frame-picture" style=${picture}></div></div>`;
}
