// Where in the video the page is: the player, the timeline and the shots follow and move it alike.
import { Store } from "./store.js";

export class Playhead {
  /** Seconds; set by `seek` and while it plays. */
  time = new Store(0);
  isPlaying = new Store(false);
  #video = null;
  #frame = 0;

  constructor(durationSeconds) {
    this.durationSeconds = durationSeconds;
  }

  /** Let it be that of a `<video>`. Without one it has a clock of its own. */
  attach(video) {
    this.#video = video;
    if (!video) return;
    if (this.time.value) video.currentTime = this.time.value;
    video.addEventListener("play", () => this.#run());
    video.addEventListener("pause", () => this.isPlaying.set(false));
    video.addEventListener("seeking", () => this.time.set(video.currentTime));
  }

  seek(seconds) {
    const time = Math.min(Math.max(seconds, 0), this.durationSeconds);
    if (this.#video) this.#video.currentTime = time;
    this.time.set(time);
  }

  toggle() {
    if (this.#video) return this.#video.paused ? this.#video.play().catch(() => {}) : this.#video.pause();
    if (this.isPlaying.value) return this.isPlaying.set(false);
    if (this.time.value >= this.durationSeconds) this.seek(0);
    this.#run();
  }

  stop() {
    this.isPlaying.set(false);
    cancelAnimationFrame(this.#frame);
  }

  #run() {
    this.isPlaying.set(true);
    let before = performance.now();
    const step = (now) => {
      if (!this.isPlaying.value) return;
      this.#advance((now - before) / 1000);
      before = now;
      this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
  }

  #advance(seconds) {
    if (this.#video) return this.time.set(this.#video.currentTime);
    this.seek(this.time.value + seconds);
    if (this.time.value >= this.durationSeconds) this.isPlaying.set(false);
  }
}
