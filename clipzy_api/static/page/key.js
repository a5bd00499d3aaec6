// The API key, where one is asked for: entered once, kept in this tab only.
import { Store } from "./store.js";

const NAME = "clipzy.key";

export const ASKS_FOR_KEYS = document.documentElement.dataset.auth === "keys";

/** What the dialog shows: null while it is closed, else why it asks. */
export const question = new Store(null);

let answered = null;
let give = null;

export function key() {
  return sessionStorage.getItem(NAME);
}

export function keyHeaders() {
  return key() ? { Authorization: `Bearer ${key()}` } : {};
}

/** Whether a text looks like a key; with other characters it could not even be sent. */
export const isKey = (text) => /^clz_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}$/.test(text.trim());

/** Ask for a key; resolves when there is one. However many calls wait, they wait for the same answer. */
export function askForKey(why) {
  answered ??= new Promise((resolve) => (give = resolve));
  question.set(why);
  return answered;
}

export function acceptKey(text) {
  sessionStorage.setItem(NAME, text.trim());
  question.set(null);
  give?.();
  answered = give = null;
}

export function forgetKey() {
  sessionStorage.removeItem(NAME);
  location.reload();
}
