// Calls of the public API. Addresses are relative, so that the page also works below a path of a proxy.
import { ASKS_FOR_KEYS, askForKey, key, keyHeaders } from "./key.js";

const BASE = new URL("api/v1/", document.baseURI);
const OUR_PATHS = ["/storage/results/", "/api/v1/"];

/** An answer that is an error: `code` is for programs, the message for people. */
export class Problem extends Error {
  constructor(status, code, message, retryAfterSeconds) {
    super(message);
    Object.assign(this, { status, code, retryAfterSeconds });
  }
}

export function address(path) {
  return new URL(path, BASE).href;
}

/**
 * A link of the API as this page can open it. With PUBLIC_URL our own links name the public host; the page may have
 * been opened under another name of the same server, and its policy allows that name alone.
 */
export function own(link) {
  const url = new URL(link, document.baseURI);
  if (url.origin === location.origin || url.searchParams.has("X-Amz-Signature")) return url.href;
  const at = OUR_PATHS.map((path) => url.pathname.indexOf(path)).find((place) => place >= 0);
  return at === undefined ? url.href : new URL(`.${url.pathname.slice(at)}${url.search}`, document.baseURI).href;
}

/** The answer to a call. Throws `Problem`. Asks for a key if one is needed, and then calls again. */
export async function call(path, { method = "GET", json, headers = {}, signal } = {}) {
  if (ASKS_FOR_KEYS && !key()) await askForKey("");
  const body = json === undefined ? undefined : JSON.stringify(json);
  const type = json === undefined ? {} : { "Content-Type": "application/json" };
  const sent = { method, body, signal, cache: "no-store", headers: { ...type, ...keyHeaders(), ...headers } };
  let answer;
  try {
    answer = await fetch(address(path), sent);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "UNREACHABLE", "The server cannot be reached.");
  }
  if (answer.ok) return answer;
  const problem = await problemOf(answer);
  if (problem.code !== "UNAUTHORIZED") throw problem;
  await askForKey(key() ? problem.message : "");
  return call(path, { method, json, headers, signal });
}

export async function read(path, options) {
  return (await call(path, options)).json();
}

async function problemOf(answer) {
  const retryAfter = Number(answer.headers.get("Retry-After")) || null;
  const body = await answer.json().catch(() => ({}));
  return new Problem(answer.status, body.code ?? "INTERNAL", body.detail ?? `Error ${answer.status}.`, retryAfter);
}

/** Text that is random, also where the page did not come over HTTPS and `crypto.randomUUID` is missing. */
export function randomName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
