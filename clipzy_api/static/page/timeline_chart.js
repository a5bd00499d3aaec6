// The canvas of the timeline: one uPlot with the two curves, each in its lane, and everything else painted around them.
import { color } from "./colors.js";
import { clock } from "./format.js";
import { LanePainter, SCALES, plotScale } from "./timeline_lanes.js";

export const GUTTER = 76; // for the names of the lanes
const AXIS_HEIGHT = 30;
const MARGIN = 16; // for the half of the last time that stands beyond the end
const TICK_SECONDS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000];
const CLICK_PIXELS = 5; // a press that moves further is a drag
const MIN_SPAN_SECONDS = 0.5;

export class TimelineChart {
  /** `onHover` is called with the seconds under the pointer, or null, and their place in pixels. */
  constructor(element, { result, layout, playhead, onHover }) {
    this.durationSeconds = Math.max(result.output.source.duration_seconds, 0.001);
    this.playhead = playhead;
    this.onHover = onHover;
    this.layout = layout;
    const painter = new LanePainter(result, layout.lanes);
    this.plot = new uPlot(this.#options(element.clientWidth, painter), dataOf(result, this.durationSeconds), element);
    this.line = document.createElement("div");
    this.line.className = "playhead";
    this.plot.over.append(this.line);
    this.#seekOnClick();
    this.#observe(element);
    this.showPlayhead();
  }

  /** The line under the time of the playhead; the view follows it when it is zoomed in. */
  showPlayhead() {
    const time = this.playhead.time.value;
    const { min, max } = this.plot.scales.x;
    if (this.playhead.isPlaying.value && (time > max || time < min)) this.zoomTo(time, time + max - min);
    this.line.style.transform = `translateX(${this.plot.valToPos(time, "x")}px)`;
  }

  /** Show `factor` as much time around the playhead, or the middle if that is out of sight. */
  zoom(factor) {
    const { min, max } = this.plot.scales.x;
    const time = this.playhead.time.value;
    const middle = time >= min && time <= max ? time : (min + max) / 2;
    this.zoomTo(middle - (middle - min) * factor, middle + (max - middle) * factor);
  }

  zoomTo(from, to) {
    const span = Math.min(Math.max(to - from, MIN_SPAN_SECONDS), this.durationSeconds);
    const min = Math.min(Math.max(from, 0), this.durationSeconds - span);
    this.plot.setScale("x", { min, max: min + span });
  }

  zoomOut() {
    this.zoomTo(0, this.durationSeconds);
  }

  destroy() {
    this.observer.disconnect();
    removeEventListener("themechange", this.redraw);
    this.plot.destroy();
  }

  #options(width, painter) {
    const { lanes, height } = this.layout;
    const curves = Object.keys(SCALES).filter((name) => lanes[name]);
    const scales = curves.map((name) => [name, { range: plotScale(lanes[name], height, SCALES[name]) }]);
    return {
      width,
      height: height + AXIS_HEIGHT,
      padding: [0, MARGIN, 0, GUTTER],
      legend: { show: false },
      scales: { x: { time: false }, ...Object.fromEntries(scales) },
      axes: [axis(), { show: false }],
      series: [{}, ...curves.map(curve)],
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, dist: CLICK_PIXELS } },
      hooks: {
        drawClear: [(plot) => painter.paintGround(plot)],
        draw: [(plot) => painter.paintMarks(plot)],
        setScale: [() => this.plot && this.showPlayhead()],
        setCursor: [(plot) => this.#hover(plot)],
      },
    };
  }

  #hover({ cursor, over, posToVal }) {
    const isOver = cursor.left >= 0 && over.matches(":hover");
    this.onHover(isOver ? posToVal(cursor.left, "x") : null, cursor.left);
  }

  #seekOnClick() {
    let pressed = 0;
    const { over } = this.plot;
    over.addEventListener("mousedown", (event) => (pressed = event.clientX));
    over.addEventListener("click", (event) => {
      const left = event.clientX - over.getBoundingClientRect().left;
      if (Math.abs(event.clientX - pressed) < CLICK_PIXELS) this.playhead.seek(this.plot.posToVal(left, "x"));
    });
  }

  #observe(element) {
    this.observer = new ResizeObserver(([{ contentRect }]) => {
      this.plot.setSize({ width: contentRect.width, height: this.plot.height });
      this.showPlayhead();
    });
    this.observer.observe(element);
    this.redraw = () => this.plot.redraw();
    addEventListener("themechange", this.redraw);
  }
}

function axis() {
  return {
    size: AXIS_HEIGHT,
    stroke: () => color("--muted"),
    font: "12px system-ui, sans-serif",
    grid: { show: false },
    ticks: { stroke: () => color("--line"), width: 1, size: 5 },
    incrs: TICK_SECONDS,
    values: (plot, seconds, index, space, step) => seconds.map((second) => clock(second, { tenths: step < 1 })),
    space: 70,
  };
}

function curve(name) {
  return {
    scale: name,
    stroke: () => color(`--${name}`),
    fill: () => color(`--${name}-area`),
    fillTo: () => SCALES[name][0],
    width: 1.25,
    spanGaps: true,
    points: { show: false },
  };
}

/** The curves of a result over common times, to the end of the video; silence is at the bottom of its lane. */
function dataOf({ loudness, motion }, durationSeconds) {
  const tables = [
    loudness && tableOf(loudness.momentary_lufs, loudness.step_seconds, SCALES.loudness, durationSeconds),
    motion && tableOf(motion.intensity, motion.step_seconds, SCALES.motion, durationSeconds),
  ].filter(Boolean);
  if (tables.length === 0) return [[0, durationSeconds]];
  return tables.length === 1 ? tables[0] : uPlot.join(tables);
}

/** The times and levels of a curve; the last level holds to the end. */
function tableOf(values, stepSeconds, [low, high], endSeconds) {
  const levels = values.map((value) => Math.min(Math.max(value ?? low, low), high));
  const times = levels.map((_, index) => index * stepSeconds);
  const shown = times.filter((time) => time < endSeconds).length;
  return [
    [...times.slice(0, shown), endSeconds],
    [...levels.slice(0, shown), levels[shown - 1] ?? low],
  ];
}
