// The colours of the style sheet, for a canvas, which does not know them by name.
const known = new Map();
const probe = document.createElement("i");

/** The colour that a custom property has now, in the theme that is on. */
export function color(name) {
  if (!known.has(name)) {
    probe.hidden = true;
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    known.set(name, getComputedStyle(probe).color);
  }
  return known.get(name);
}

addEventListener("themechange", () => known.clear());
