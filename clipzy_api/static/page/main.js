// The page: its frame, and which view the address asks for.
import { html, render, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { read } from "./api.js";
import { FleetPage } from "./fleet_page.js";
import { JobPage } from "./job_page.js";
import { JobsPage } from "./jobs_page.js";
import { ASKS_FOR_KEYS, forgetKey } from "./key.js";
import { KeyDialog } from "./key_dialog.js";
import { parse } from "./route.js";
import { DropTarget } from "./upload_view.js";

function Page() {
  const [route, setRoute] = useState(() => parse(location.hash));
  useEffect(() => {
    const follow = () => setRoute(parse(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = { fleet: "Fleet · Clipzy", job: "Job · Clipzy" }[route.view] ?? "Clipzy";
    // Another view is read from its beginning.
    if (!isFirst.current) document.getElementById("content").focus();
    if (!isFirst.current) scrollTo(0, 0);
    isFirst.current = false;
  }, [route.view, route.id]);
  return html`
    <a class="skip" href="#content" onClick=${skip}>Skip to the content</a>
    <${Header} view=${route.view} />
    <main id="content" tabindex="-1">
      ${route.view === "jobs" && html`<${JobsPage} query=${route.query} />`}
      ${route.view === "job" && html`<${JobPage} key=${route.id} id=${route.id} />`}
      ${route.view === "fleet" && html`<${FleetPage} />`}
    </main>
    <${DropTarget} />
    <${KeyDialog} />`;
}

function skip(event) {
  event.preventDefault(); // the address says which view is shown
  document.getElementById("content").focus();
}

function Header({ view }) {
  const current = (name) => (view === name ? "page" : null);
  return html`
    <header class="top">
      <a class="brand" href="#/" aria-label="Clipzy, all jobs">
        <img src="page/icon.svg" alt="" width="24" height="24" />Clipzy</a>
      <nav aria-label="Main">
        <a href="#/" aria-current=${current("jobs")}>Jobs</a>
        <a href="#/fleet" aria-current=${current("fleet")}>Fleet</a>
        <a href="docs">API</a>
      </nav>
      ${ASKS_FOR_KEYS && html`<${Owner} />`}
      <button type="button" class="button button-quiet theme" onClick=${switchTheme} aria-label="Dark or light">
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.5" />
          <path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor" />
        </svg>
      </button>
    </header>`;
}

function Owner() {
  const [me, setMe] = useState(null);
  useEffect(() => void read("me").then(setMe, () => setMe({})), []); // a key may be one that cannot ask this
  if (!me) return null;
  return html`
    <span class="owner">
      ${me.key && html`<span title=${`Key ${me.key.name}: ${me.key.scopes.join(", ")}`}>${me.owner}</span>`}
      <button type="button" class="button button-quiet" onClick=${forgetKey}>Forget key</button>
    </span>`;
}

render(html`<${Page} />`, document.getElementById("page"));
