// The camera's movement in a shot, in words and as a sign.
const SIGNS = {
  "pan left": "←",
  "pan right": "→",
  "tilt up": "↑",
  "tilt down": "↓",
  "zoom in": "⊕",
  "zoom out": "⊖",
  handheld: "≈",
  static: "",
};

export function cameraIn(shot) {
  const camera = shot.motion?.camera;
  if (!camera) return null;
  const name = camera.direction ? `${camera.movement} ${camera.direction}` : camera.movement;
  return { name, sign: SIGNS[name] ?? "" };
}
