// What is asked again and again, while somebody looks.
import { useEffect, useRef } from "./vendor/htm-preact.js";

/** Call `ask(signal)` now, and again `seconds` after each answer. A page in the background does not ask. */
export function usePolling(ask, seconds, inputs) {
  const pauseSeconds = useRef(seconds);
  pauseSeconds.current = seconds;
  useEffect(() => {
    const control = new AbortController();
    let timer = 0;
    const next = async () => {
      clearTimeout(timer);
      if (document.hidden) return;
      await ask(control.signal);
      if (!control.signal.aborted) timer = setTimeout(next, pauseSeconds.current * 1000);
    };
    const look = () => !document.hidden && next();
    next();
    document.addEventListener("visibilitychange", look);
    return () => {
      control.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, inputs);
}
