// A value that several parts of the page show, and the hook by which they follow it.
import { useEffect, useState } from "./vendor/htm-preact.js";

export class Store {
  #listeners = new Set();

  constructor(value) {
    this.value = value;
  }

  set(value) {
    this.value = value;
    for (const listener of [...this.#listeners]) listener(value);
  }

  /** Call `listener` with every new value; returns a function that ends this. */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

export function useStore(store) {
  const [, redraw] = useState(0);
  const shown = store.value;
  useEffect(() => {
    const again = () => redraw((count) => count + 1);
    if (store.value !== shown) again(); // it has changed since this was drawn
    return store.subscribe(again);
  }, [store]);
  return shown;
}
