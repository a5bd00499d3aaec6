// A job's result: `output.json`, and those of its files that the page draws from.
import { own, read } from "./api.js";
import { framesIn } from "./sprites.js";

/** What results of earlier versions do not have. */
const NOT_THERE_BEFORE = { clips: [], render: null };

/**
 * Everything that a job's page shows of a completed job. Curves and sprites that cannot be had are null; `isReadable`
 * says that some were read, so that this page may read where the files are.
 */
export async function readResult(jobId, signal) {
  const output = { ...NOT_THERE_BEFORE, ...(await read(`jobs/${jobId}/result`, { signal })) };
  const links = new Map(output.artifacts.map((artifact) => [artifact.name, own(artifact.storage_url)]));
  const [video, motion, loudness, map] = await Promise.all([
    readVideo(output.video_id, signal),
    content(links.get("motion.json"), "json", signal),
    content(links.get("loudness.json"), "json", signal),
    content(links.get("sprites.vtt"), "text", signal),
  ]);
  const frames = map ? framesIn(map) : [];
  const sprites = frames.length ? { sheet: links.get("sprites.jpg"), frames } : null;
  const isIncomplete = [
    ["motion.json", motion],
    ["loudness.json", loudness],
    ["sprites.vtt", map],
  ].some(([name, found]) => links.has(name) && !found);
  const isReadable = Boolean(motion || loudness || map);
  return { output, links, video, motion, loudness, sprites, isIncomplete, isReadable };
}

/** A link to a file of the result that has its whole life before it. Throws `Problem`. */
export async function freshLink(jobId, name) {
  const { artifacts } = await read(`jobs/${jobId}/result`);
  return own(artifacts.find((artifact) => artifact.name === name).storage_url);
}

/** The uploaded file: its link, which a `<video>` opens without a key, and when that expires. Null if it is gone. */
export async function readVideo(videoId, signal) {
  try {
    const found = await read(`videos/${videoId}/link`, { signal });
    return { link: own(found.storage_url), expiresAt: Date.parse(found.expires_at ?? "9999-01-01") };
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

/** A file of the result; null where there is none, and where the bucket does not let this page read it. */
async function content(link, kind, signal) {
  if (!link) return null;
  try {
    const answer = await fetch(link, { signal });
    return answer.ok ? await answer[kind]() : null;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return null;
  }
}

export function thumbnailsByShot({ output, links }) {
  const thumbnails = output.artifacts.filter(({ kind, shot }) => kind === "thumbnail" && shot !== null);
  return new Map(thumbnails.map(({ shot, name }) => [shot, links.get(name)]));
}
