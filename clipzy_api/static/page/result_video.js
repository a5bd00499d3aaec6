// A video of the result: a clip, or the rendered one. It loads nothing until it is played.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { freshLink } from "./result.js";

const NOT_PLAYABLE = "This browser cannot play it. It can be downloaded.";

/** `name`, `poster` and `captions` are names of artifacts; without the last two it has neither. */
export function ResultVideo({ result, name, poster, captions, label, size }) {
  const { links, output } = result;
  const element = useRef(null);
  const [why, setWhy] = useState(null);
  const link = links.get(name);
  useEffect(() => {
    const renewal = new Renewal(element.current, output.job_id, name);
    element.current.addEventListener("error", () => renewal.fail().catch((problem) => setWhy(problem.message)));
  }, []);
  const isElsewhere = new URL(link).origin !== location.origin;
  const hasCaptions = captions && (!isElsewhere || result.isReadable);
  const ratio = { aspectRatio: `${size.width} / ${size.height}` };
  return html`
    <div class="player result-video" style=${ratio}>
      <video ref=${element} src=${link} poster=${links.get(poster)} controls preload="none" playsinline
        aria-label=${label} crossorigin=${isElsewhere && hasCaptions ? "anonymous" : null}>
        ${hasCaptions && html`<track kind="captions" srclang="en" label="Speech" src=${links.get(captions)} />`}
      </video>
      ${why && html`<p class="result-video-why" role="alert">${why}</p>`}
    </div>`;
}

/** Gives a video whose link has expired a new one, where it was. */
class Renewal {
  constructor(video, jobId, name) {
    Object.assign(this, { video, jobId, name, mayHelp: true });
    video.addEventListener("loadedmetadata", () => (this.mayHelp = true));
  }

  /** Throws `Problem` if there is no link, and `Error` if a new one was of no help. */
  async fail() {
    if (!this.mayHelp) throw new Error(NOT_PLAYABLE);
    this.mayHelp = false;
    const seconds = this.video.currentTime;
    this.video.src = await freshLink(this.jobId, this.name);
    this.video.currentTime = seconds;
    this.video.play().catch(() => {}); // what is wrong with it is told by its next error
  }
}

/** Where one video begins to play, the others of the page pause. Returns a function that ends this. */
export function playOneAtATime() {
  const pauseOthers = ({ target }) => document.querySelectorAll("video").forEach((v) => v === target || v.pause());
  document.addEventListener("play", pauseOthers, true);
  return () => document.removeEventListener("play", pauseOthers, true);
}
