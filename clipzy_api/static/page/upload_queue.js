// Files on their way to the server, by tus: two at a time, each continued where it broke. Then their jobs.
import { address, own, randomName, read } from "./api.js";
import { ASKS_FOR_KEYS, askForKey, key, keyHeaders } from "./key.js";
import { Store } from "./store.js";

const AT_ONCE = 2; // browsers have six connections to a server, and event streams need some
const RETRY_SECONDS = [0, 1, 2, 4, 8, 15, 30, 30, 30, 30, 30, 30];
const SPEED_SPAN_SECONDS = 3; // over about which the speed is averaged
const LASTING_REFUSALS = new Set([409, 423, 429]); // of the 4xx those that may pass

/** What the page shows: one entry for each file. States: waiting, uploading, paused, submitting, failed, refused. */
export const uploads = new Store([]);

/** Uploads that an earlier visit left unfinished; choosing the same file again continues one. */
export const unfinished = new Store([]);

const transfers = new Map(); // the tus.Upload of each entry that has begun

/**
 * `order` is what their jobs are asked for beside the video: `queue`, and `config` if there is one. `onJob` is called
 * with the job of each file, once there is one. A file that is here already is continued and not sent a second time:
 * the server would be asked for the same upload twice.
 */
export function addFiles(files, order, onJob = () => {}) {
  for (const file of files) {
    const known = uploads.value.find((entry) => entry.state !== "refused" && isSame(entry.file, file));
    if (!known) add(file, order, onJob);
    else if (["paused", "failed"].includes(known.state)) resume(known.id);
  }
  startNext();
}

function add(file, order, onJob) {
  const state = file.size ? { state: "waiting" } : { state: "refused", error: "The file is empty." };
  uploads.set([...uploads.value, { id: randomName(), file, order, onJob, sent: 0, speed: 0, ...state }]);
}

const isSame = (one, other) => ["name", "size", "type", "lastModified"].every((name) => one[name] === other[name]);

export function pause(id) {
  transfers.get(id)?.abort();
  change(id, { state: "paused", speed: 0 });
  startNext();
}

/** Continue a paused upload, or try a failed one again. */
export function resume(id) {
  change(id, { state: "waiting", error: null });
  startNext();
}

/** Give it up, here and at the server. */
export async function discard(id) {
  const transfer = transfers.get(id);
  const isKept = transfer?.url && find(id).state !== "refused";
  remove(id);
  startNext();
  await transfer?.abort(Boolean(isKept)).catch(() => {}); // what is left there expires by itself
  await findUnfinished();
}

export async function findUnfinished() {
  const found = await tus.defaultOptions.urlStorage.findAllUploads();
  const running = new Set([...transfers.values()].map((transfer) => transfer.url));
  unfinished.set(found.filter((upload) => !running.has(upload.uploadUrl)));
}

export async function forgetUnfinished(upload) {
  await forget((other) => other.urlStorageKey === upload.urlStorageKey);
  await tus.Upload.terminate(own(upload.uploadUrl), { headers: keyHeaders(), retryDelays: null }).catch(() => {});
}

function find(id) {
  return uploads.value.find((entry) => entry.id === id);
}

function change(id, fields) {
  uploads.set(uploads.value.map((entry) => (entry.id === id ? { ...entry, ...fields } : entry)));
}

function remove(id) {
  transfers.delete(id);
  uploads.set(uploads.value.filter((entry) => entry.id !== id));
}

function startNext() {
  const running = uploads.value.filter((entry) => ["uploading", "submitting"].includes(entry.state)).length;
  for (const entry of uploads.value.filter((entry) => entry.state === "waiting").slice(0, AT_ONCE - running)) {
    change(entry.id, { state: "uploading" });
    start(entry);
  }
}

async function start({ id, file }) {
  if (ASKS_FOR_KEYS && !key()) await askForKey("");
  if (!find(id)) return; // it was discarded meanwhile
  if (!transfers.has(id)) transfers.set(id, transferOf(id, file));
  const transfer = transfers.get(id);
  transfer.options.headers = keyHeaders();
  if (!transfer.url) {
    const [earlier] = await transfer.findPreviousUploads();
    if (earlier) transfer.resumeFromPreviousUpload(earlier);
  }
  if (find(id)?.state === "uploading") transfer.start();
  findUnfinished();
}

function transferOf(id, file) {
  let measured = null;
  return new tus.Upload(file, {
    endpoint: address("uploads"),
    metadata: { filename: file.name },
    retryDelays: RETRY_SECONDS.map((seconds) => seconds * 1000),
    removeFingerprintOnSuccess: true,
    httpStack: new HereOnly(tus.defaultOptions.httpStack),
    onShouldRetry: (error) => mayPass(statusIn(error)),
    onProgress(sent) {
      const before = measured ?? { at: performance.now(), sent, speed: 0 };
      measured = measuredSpeed(before, sent);
      change(id, { sent, speed: measured.speed });
    },
    onError(error) {
      const status = statusIn(error);
      if (status === 401) return askForKey(reasonIn(error)).then(() => find(id) && start(find(id)));
      return mayPass(status) ? fail(id, reasonIn(error)) : refuse(id, reasonIn(error));
    },
    onSuccess: () => submit(id),
  });
}

const statusIn = (error) => error.originalResponse?.getStatus() ?? 0;
const mayPass = (status) => status === 0 || status >= 500 || LASTING_REFUSALS.has(status);

function measuredSpeed(before, sent) {
  const at = performance.now();
  const seconds = (at - before.at) / 1000;
  if (seconds < 0.2) return before;
  const weight = Math.min(1, seconds / SPEED_SPAN_SECONDS);
  const now = Math.max(0, (sent - before.sent) / seconds);
  return { at, sent, speed: before.speed ? before.speed + weight * (now - before.speed) : now };
}

/** What the server said, or that it said nothing. */
function reasonIn(error) {
  try {
    return JSON.parse(error.originalResponse.getBody()).detail;
  } catch {
    return error.originalResponse ? `Error ${error.originalResponse.getStatus()}.` : "The server cannot be reached.";
  }
}

async function submit(id) {
  const { order, jobKey, onJob } = find(id);
  const idempotencyKey = jobKey ?? randomName();
  change(id, { state: "submitting", jobKey: idempotencyKey });
  const json = { video_id: transfers.get(id).url.split("/").pop(), ...order };
  try {
    onJob(await read("jobs", { method: "POST", json, headers: { "Idempotency-Key": idempotencyKey } }));
    remove(id);
  } catch (problem) {
    fail(id, problem.message);
  }
  startNext();
  findUnfinished();
}

function fail(id, error) {
  if (find(id)) change(id, { state: "failed", error, speed: 0 });
  startNext();
}

/** It will not do, however often it is sent; so nothing is kept to continue it. */
async function refuse(id, error) {
  if (find(id)) change(id, { state: "refused", error, speed: 0 });
  startNext();
  await forget((upload) => upload.uploadUrl === transfers.get(id)?.url);
}

async function forget(isMeant) {
  const { urlStorage } = tus.defaultOptions;
  const found = (await urlStorage.findAllUploads()).filter(isMeant);
  await Promise.all(found.map((upload) => urlStorage.removeUpload(upload.urlStorageKey)));
  await findUnfinished();
}

/** Sends to this server under the name that it was opened with, also where PUBLIC_URL gives uploads another one. */
class HereOnly {
  constructor(stack) {
    this.stack = stack;
  }

  createRequest(method, url) {
    return this.stack.createRequest(method, own(url));
  }

  getName() {
    return "HereOnly";
  }
}

addEventListener("online", () =>
  uploads.value.filter((entry) => entry.state === "failed").forEach((e) => resume(e.id)),
);
addEventListener("beforeunload", (event) => {
  if (uploads.value.some((entry) => ["waiting", "uploading"].includes(entry.state))) event.preventDefault();
});
