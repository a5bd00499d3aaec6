// The lanes of the timeline: where each is, and how those are drawn that are no curves.
import { cameraIn } from "./camera.js";
import { color } from "./colors.js";

const GAP = 10;
const CLIP_HEIGHT = 18;
const HEIGHTS = { shots: 46, clips: CLIP_HEIGHT, loudness: 64, motion: 48, speech: 12, beats: 24 };
const MIN_LABELLED_WIDTH = 22;

/** The values at the bottom and the top of a lane with a curve. */
export const SCALES = { loudness: [-50, 0], motion: [0, 100] };

/** The lanes that this result has something for, from the top: `top` and `height` in pixels; and all together. */
export function laneLayout({ output, loudness, motion }) {
  const rows = rowsOf(output.clips);
  const { audio } = output;
  const wanted = { shots: true, clips: rows.length, loudness, motion, speech: audio, beats: audio?.beats.length };
  let top = 0;
  const lanes = {};
  for (const name of Object.keys(HEIGHTS).filter((name) => wanted[name])) {
    const height = HEIGHTS[name] * (name === "clips" ? rows.length : 1);
    lanes[name] = { top, height };
    top += height + GAP;
  }
  return { lanes, height: top - GAP };
}

/** The clips in as few rows as show each of them whole: asked sections may overlap. */
function rowsOf(clips) {
  const rows = [];
  for (const clip of clips) {
    const free = rows.find((row) => row.at(-1).end_seconds <= clip.start_seconds);
    if (free) free.push(clip);
    else rows.push([clip]);
  }
  return rows;
}

/** The scale of the whole plot under which a lane shows the values of its own scale. */
export function plotScale({ top, height }, plotHeight, [low, high]) {
  const perPixel = (high - low) / height;
  return [low - (plotHeight - top - height) * perPixel, high + top * perPixel];
}

/** Draws on the canvas of a plot, in its pixels. */
export class LanePainter {
  constructor(result, lanes) {
    this.result = result;
    this.lanes = lanes;
  }

  /** What lies under the curves. */
  paintGround(plot) {
    this.#within(plot, (pen) => {
      for (const lane of Object.values(this.lanes)) pen.fillRect(lane, 0, 1, color("--lane"), { isShare: true });
      for (const { start_seconds: start, end_seconds: end } of this.result.output.audio?.silences ?? []) {
        if (this.lanes.loudness) pen.fillRect(this.lanes.loudness, start, end, color("--lane-silence"));
      }
    });
  }

  /** What lies over them. */
  paintMarks(plot) {
    const { shots, audio, clips } = this.result.output;
    this.#within(plot, (pen) => {
      for (const shot of shots) this.#paintShot(pen, shot);
      rowsOf(clips).forEach((row, number) => row.forEach((clip) => this.#paintClip(pen, clip, number)));
      if (this.lanes.loudness && audio?.integrated_lufs != null) this.#paintLevel(pen, audio.integrated_lufs);
      for (const { start_seconds: start, end_seconds: end } of audio?.speech ?? []) {
        pen.fillRect(this.lanes.speech, start, end, color("--speech"));
      }
      if (this.lanes.beats) for (const beat of audio.beats) this.#paintBeat(pen, beat);
    });
  }

  #within(plot, paint) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    paint(new Pen(plot));
    ctx.restore();
  }

  /** The dominant colours on top of each other, each as high as its share. */
  #paintShot(pen, shot) {
    const { top, height } = this.lanes.shots;
    const dominant = shot.color?.dominant ?? [];
    const total = dominant.reduce((sum, { share }) => sum + share, 0);
    let y = top;
    for (const { hex, share } of dominant) {
      const part = (height * share) / total;
      pen.fillRect({ top: y, height: part + 0.5 }, shot.start_seconds, shot.end_seconds, hex);
      y += part;
    }
    const isSoft = shot.transition === "fade" || shot.transition === "dissolve";
    if (shot.index)
      pen.line(shot.start_seconds, top, top + height, isSoft ? color("--soft-cut") : color("--surface"), 2);
    if (pen.width(shot.start_seconds, shot.end_seconds) < MIN_LABELLED_WIDTH) return;
    pen.label(`${shot.index + 1}`, shot.start_seconds, top + 14);
    pen.label(cameraIn(shot)?.sign ?? "", shot.start_seconds, top + height - 7);
  }

  #paintClip(pen, { index, start_seconds: start, end_seconds: end }, row) {
    const top = this.lanes.clips.top + row * CLIP_HEIGHT;
    pen.fillRect({ top, height: CLIP_HEIGHT - 1 }, start, end, color("--clip"));
    pen.line(start, top, top + CLIP_HEIGHT - 1, color("--text"), 2);
    if (pen.width(start, end) >= MIN_LABELLED_WIDTH) pen.label(`${index + 1}`, start, top + 13);
  }

  #paintLevel(pen, lufs) {
    const { top, height } = this.lanes.loudness;
    const [low, high] = SCALES.loudness;
    pen.dashedLine(top + height * (1 - (Math.max(lufs, low) - low) / (high - low)), color("--muted"));
  }

  /** The longer the surer. */
  #paintBeat(pen, { time_seconds: at, confidence, band }) {
    const { top, height } = this.lanes.beats;
    pen.line(at, top + height * (0.75 - 0.75 * confidence), top + height, color(`--beat-${band}`), 1.5);
  }
}

/** Draws at seconds and at pixels of the page, whatever the canvas has for one. */
class Pen {
  constructor(plot) {
    this.plot = plot;
    this.ctx = plot.ctx;
    this.ratio = plot.pxRatio ?? devicePixelRatio;
  }

  x(seconds) {
    return this.plot.valToPos(seconds, "x", true);
  }

  y(pixels) {
    return this.plot.bbox.top + pixels * this.ratio;
  }

  width(start, end) {
    return (this.x(end) - this.x(start)) / this.ratio;
  }

  fillRect({ top, height }, start, end, fill, { isShare = false } = {}) {
    const { left, width } = this.plot.bbox;
    const [from, to] = isShare ? [left + start * width, left + end * width] : [this.x(start), this.x(end)];
    this.ctx.fillStyle = fill;
    this.ctx.fillRect(from, this.y(top), Math.max(to - from, 1), height * this.ratio);
  }

  line(seconds, top, bottom, stroke, width) {
    this.ctx.fillStyle = stroke;
    this.ctx.fillRect(
      this.x(seconds) - (width * this.ratio) / 2,
      this.y(top),
      width * this.ratio,
      (bottom - top) * this.ratio,
    );
  }

  dashedLine(pixels, stroke) {
    const { left, width } = this.plot.bbox;
    this.ctx.strokeStyle = stroke;
    this.ctx.lineWidth = this.ratio;
    this.ctx.setLineDash([4 * this.ratio, 4 * this.ratio]);
    this.ctx.beginPath();
    this.ctx.moveTo(left, this.y(pixels));
    this.ctx.lineTo(left + width, this.y(pixels));
    this.ctx.stroke();
    this.ctx.setLineDash([]);
  }

  /** White with a shade, to be read on any colour. */
  label(text, seconds, pixels) {
    this.ctx.font = `600 ${12 * this.ratio}px system-ui, sans-serif`;
    this.ctx.textAlign = "left";
    this.ctx.textBaseline = "alphabetic";
    this.ctx.shadowColor = "rgb(0 0 0 / 0.8)";
    this.ctx.shadowBlur = 3 * this.ratio;
    this.ctx.fillStyle = "#fff";
    this.ctx.fillText(text, this.x(seconds) + 6 * this.ratio, this.y(pixels));
    this.ctx.shadowBlur = 0;
  }
}
