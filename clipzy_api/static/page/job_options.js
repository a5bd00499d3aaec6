// What the next uploads are made into: the options as the form has them, and the `config` of a job that they are.
import { Store } from "./store.js";

/** As the fields of the form hold them, most of them texts. */
export const options = new Store({
  clips: "", // or best, or ranges
  count: "3",
  shortest: "10",
  longest: "60",
  profile: "auto",
  ranges: "",
  render: "", // or the codec
  shape: "source",
  reframe: "center",
  quality: "standard",
  loudness: "",
});

/** The `config` of a job; undefined if it is what jobs do without one. Throws `Error` with what is wrong, in words. */
export function configOf(form) {
  const clips = { best: bestOf, ranges: askedOf }[form.clips]?.(form);
  const rendition = renditionOf(form);
  const config = {
    ...(clips && { clips: { ...clips, ...rendition } }),
    ...(form.render && { render: { ...rendition, video_codec: form.render } }),
  };
  return Object.keys(config).length ? config : undefined;
}

/** What is wrong with the form, in words; empty if nothing is. */
export function mistakeIn(form) {
  try {
    configOf(form);
    return "";
  } catch (error) {
    return error.message;
  }
}

function bestOf({ count, shortest, longest, profile }) {
  const clips = {
    count: within(count, 20, "The number of clips"),
    min_seconds: within(shortest, 600, "The shortest clip"),
    max_seconds: within(longest, 600, "The longest clip"),
    profile,
  };
  if (!Number.isInteger(clips.count)) throw new Error("The number of clips must be whole.");
  if (clips.min_seconds > clips.max_seconds) throw new Error("The longest clip is shorter than the shortest.");
  return clips;
}

function within(text, limit, name) {
  const value = Number(text);
  if (value >= 1 && value <= limit) return value;
  throw new Error(`${name} must be from 1 to ${limit}.`);
}

const askedOf = ({ ranges }) => ({ ranges: rangesIn(ranges) });

function renditionOf({ shape, reframe, quality, loudness }) {
  return {
    shape,
    ...(shape !== "source" && { reframe }),
    quality,
    ...(loudness && { loudness_lufs: Number(loudness) }),
  };
}

/** The sections in a text, one a line: `0:10 - 0:25.5`, or `10 25.5`. */
function rangesIn(text) {
  const lines = text.split("\n").map((line) => line.trim());
  const ranges = lines.map((line, index) => line && rangeIn(line, index + 1)).filter(Boolean);
  if (!ranges.length) throw new Error("Give at least one section, such as 0:10 - 0:25.5.");
  return ranges;
}

function rangeIn(line, number) {
  const times = line.split(/\s*[-–]\s*|\s+to\s+|\s+/).map(secondsIn);
  if (times.length !== 2 || times.includes(null)) {
    throw new Error(`Line ${number} is no section such as 0:10 - 0:25.5.`);
  }
  const [start_seconds, end_seconds] = times;
  if (end_seconds <= start_seconds) throw new Error(`Line ${number} ends before it begins.`);
  return { start_seconds, end_seconds };
}

/** Seconds in 25.5, 0:25.5 or 1:00:25; null in anything else. */
function secondsIn(text) {
  if (!/^(\d+:){0,2}\d+(\.\d+)?$/.test(text)) return null;
  return Number(
    text
      .split(":")
      .reduce((sum, part) => sum * 60 + Number(part), 0)
      .toFixed(6),
  );
}
