// The video; or, where this browser cannot play the file or it is gone, a storyboard of its small frames.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { clock } from "./format.js";
import { readVideo } from "./result.js";
import { Frame } from "./sprites.js";
import { useStore } from "./store.js";

const TYPES = { mp4: "video/mp4", mov: "video/mp4", webm: "video/webm", mkv: "video/webm", avi: "video/x-msvideo" };
const GONE = "The uploaded file is no longer there.";
const NOT_PLAYABLE = "This browser cannot play the format.";

export function Player({ job, result, playhead }) {
  const { source } = result.output;
  const [video, setVideo] = useState(result.video);
  const [why, setWhy] = useState(canPlay(source) ? null : NOT_PLAYABLE);
  const fail = () => {
    if (Date.now() < video.expiresAt) return setWhy(NOT_PLAYABLE);
    return readVideo(job.video_id).then(setVideo, (problem) => setWhy(problem.message));
  };
  const ratio = { aspectRatio: `${source.width} / ${source.height}` };
  if (why || !video)
    return html`<${Storyboard} why=${why ?? GONE} result=${result} playhead=${playhead} ratio=${ratio} />`;
  return html`
    <div class="player" style=${ratio}>
      <${Video} key=${video.link} link=${video.link} poster=${result.links.get("poster.jpg")}
        playhead=${playhead} onFail=${fail} />
    </div>`;
}

const canPlay = ({ container }) => document.createElement("video").canPlayType(TYPES[container]) !== "";

function Video({ link, poster, playhead, onFail }) {
  const element = useRef(null);
  useEffect(() => {
    const video = element.current;
    playhead.attach(video);
    // Some files are opened for their sound alone, since their video is in a format that is unknown here.
    video.addEventListener("loadedmetadata", () => video.videoWidth === 0 && onFail());
    video.addEventListener("error", () => onFail());
    return () => playhead.attach(null);
  }, []);
  return html`
    <video ref=${element} src=${link} poster=${poster} controls preload="metadata" playsinline
      aria-label="Video"></video>`;
}

function Storyboard({ why, result, playhead, ratio }) {
  const seconds = useStore(playhead.time);
  const isPlaying = useStore(playhead.isPlaying);
  const [element, width] = useWidth();
  return html`
    <div class="player storyboard" style=${ratio} ref=${element}>
      ${
        result.sprites && width > 0
          ? html`<${Frame} sprites=${result.sprites} seconds=${seconds} width=${width} />`
          : html`<img src=${result.links.get("poster.jpg")} alt="" />`
      }
      <div class="storyboard-bar">
        <button type="button" class="button" onClick=${() => playhead.toggle()}>
          ${isPlaying ? "Pause" : "Play stills"}</button>
        <span>${clock(seconds)} of ${clock(playhead.durationSeconds)}</span>
        <span class="storyboard-why">${why}</span>
      </div>
    </div>`;
}

function useWidth() {
  const element = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(entry.contentRect.width));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}
