// Dark or light, as the system has it until somebody chooses here. Runs before the first paint.
"use strict";

const THEME = "clipzy.theme";

function storedTheme() {
  try {
    return localStorage.getItem(THEME);
  } catch {
    return null; // a browser that keeps nothing
  }
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function switchTheme() {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  dispatchEvent(new Event("themechange"));
  try {
    localStorage.setItem(THEME, theme);
  } catch {
    // it holds until the page is left
  }
}

if (storedTheme()) document.documentElement.dataset.theme = storedTheme();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));
