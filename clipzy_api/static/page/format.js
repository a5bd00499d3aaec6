// How the page writes times, sizes and names.
const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const MOMENT = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });
const UNITS = ["bytes", "kB", "MB", "GB", "TB"];
const AGES = [
  ["day", 86400],
  ["h", 3600],
  ["min", 60],
];

export const number = (value) => NUMBER.format(value).replace("-", "−");

export const percent = (share) => `${Math.round(share * 100)} %`;

export function size(bytes) {
  const step = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${number(bytes / 1000 ** step)} ${UNITS[step]}`;
}

/** A position in a video: 1:02:03, or with tenths 0:03.4. */
export function clock(seconds, { tenths = false } = {}) {
  const surely = seconds + 1e-6; // 64.1 * 10 is less than 641
  const whole = tenths ? Math.floor(surely * 10) / 10 : Math.floor(surely);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = tenths ? (whole % 60).toFixed(1) : String(whole % 60);
  const tail = `${hours ? String(minutes).padStart(2, "0") : minutes}:${rest.padStart(tenths ? 4 : 2, "0")}`;
  return hours ? `${hours}:${tail}` : tail;
}

/** How long something took or will take. */
export function span(seconds) {
  if (seconds < 10) return `${number(seconds)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${number(seconds / 3600)} h`;
}

export function ago(timestamp) {
  const seconds = (Date.now() - Date.parse(timestamp)) / 1000;
  const [unit, length] = AGES.find(([, length]) => seconds >= length) ?? [];
  if (!unit) return "just now";
  const count = Math.floor(seconds / length);
  return `${count} ${unit}${unit === "day" && count > 1 ? "s" : ""} ago`;
}

export const moment = (timestamp) => MOMENT.format(new Date(timestamp));

/** A stage or another name of the API in words. */
export const words = (name) => name.replaceAll("_", " ");

export const sentence = (name) => words(name).replace(/^./, (first) => first.toUpperCase());
