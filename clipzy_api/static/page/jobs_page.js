// The list of jobs, live.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { read } from "./api.js";
import { FINAL, follow } from "./events.js";
import { number } from "./format.js";
import { JobRow } from "./job_row.js";
import { usePolling } from "./polling.js";
import { listLink } from "./route.js";
import { useStore } from "./store.js";
import { uploads } from "./upload_queue.js";
import { Chooser, Uploads } from "./upload_view.js";
import { Notice } from "./widgets.js";

const PAGE_SIZE = 50;
const STREAMS = 2; // browsers have six connections to a server, for all tabs together
const STATUSES = ["", "queued", "processing", "completed", "failed", "cancelled"];

export function JobsPage({ query }) {
  const { list, problem, ask, merge } = useList(query);
  const [name, setName] = useState("");
  useFollowed(list?.jobs ?? [], merge, ask);
  const isEmpty = list?.total === 0 && !query.status;
  const isIdle = useStore(uploads).length === 0;
  const shown = list?.jobs.filter((job) => job.filename.toLowerCase().includes(name.toLowerCase())) ?? [];
  return html`
    <h1 class="hidden">Jobs</h1>
    <${Chooser} isLarge=${isEmpty && isIdle} />
    <${Uploads} />
    ${problem && html`<${Notice} kind="bad" retry=${() => ask()}>${problem.message}</${Notice}>`}
    ${
      list &&
      !isEmpty &&
      html`
      <section aria-labelledby="jobs-title">
        <h2 id="jobs-title" class="hidden">All jobs</h2>
        <${Filters} status=${query.status} name=${name} setName=${setName} />
        ${
          shown.length
            ? html`<ul class="jobs">${shown.map((job) => html`<${JobRow} key=${job.job_id} job=${job} />`)}</ul>`
            : html`<p class="nothing">${absence(list, query, name)}</p>`
        }
        <${Pages} list=${list} query=${query} />
      </section>`
    }
    ${
      isEmpty &&
      isIdle &&
      html`
      <p class="nothing">No jobs yet. The first video that you upload will be analysed here.</p>`
    }`;
}

/** Why no job is shown. */
function absence(list, { status }, name) {
  if (name) return "No job on this page has that name.";
  if (list.total === 0) return `No job is ${status}.`;
  return html`This page of the list is empty by now. <a href=${listLink({ status })}>To the newest jobs</a>`;
}

/** The page of the list that the query asks for, asked again while somebody looks. */
function useList({ status, page }) {
  const [list, setList] = useState(null);
  const [problem, setProblem] = useState(null);
  const shown = useRef("");
  shown.current = `${status} ${page}`;
  const ask = async (signal) => {
    const asked = shown.current;
    const parameters = new URLSearchParams({ page, page_size: PAGE_SIZE, ...(status && { status }) });
    try {
      const found = await read(`jobs?${parameters}`, { signal });
      if (asked === shown.current) setList(found);
      setProblem(null);
    } catch (error) {
      if (error.name !== "AbortError") setProblem(error);
    }
  };
  const unfinished = (list?.jobs ?? []).filter((job) => !FINAL.has(job.status)).length;
  const uploading = useStore(uploads).length; // one less: it has become a job
  usePolling(ask, unfinished > STREAMS ? 1 : 3, [status, page, uploading]);
  const merge = (change) =>
    setList((before) => ({
      ...before,
      jobs: before.jobs.map((job) => (job.job_id === change.job_id ? { ...job, ...change } : job)),
    }));
  return { list, problem, ask, merge };
}

/** Follow the events of the first unfinished jobs; what finishes is read once more, with its link. */
function useFollowed(jobs, merge, ask) {
  const unfinished = jobs.filter((job) => !FINAL.has(job.status));
  const running = unfinished.filter((job) => job.status === "processing");
  const chosen = [...new Set([...running, ...unfinished.reverse()])].slice(0, STREAMS).map((job) => job.job_id);
  for (const slot of Array(STREAMS).keys()) useFollowing(chosen.sort()[slot], merge, ask);
}

function useFollowing(jobId, merge, ask) {
  const latest = useRef(null);
  latest.current = { merge, ask }; // of the page that is shown when an event comes
  useEffect(() => {
    if (!jobId) return undefined;
    const control = new AbortController();
    const show = (change) => {
      latest.current.merge(change);
      if (FINAL.has(change.status)) latest.current.ask();
    };
    follow(jobId, show, control.signal);
    return () => control.abort();
  }, [jobId]);
}

function Filters({ status, name, setName }) {
  const link = (value) => html`
    <a href=${listLink({ status: value })} aria-current=${value === status ? "true" : null}>${value || "all"}</a>`;
  return html`
    <div class="filters">
      <nav class="tabs" aria-label="Jobs by status">${STATUSES.map(link)}</nav>
      <input type="search" placeholder="Name on this page" aria-label="Name on this page" value=${name}
        onInput=${(event) => setName(event.target.value)} />
    </div>`;
}

function Pages({ list, query }) {
  const last = Math.max(1, Math.ceil(list.total / list.page_size));
  const first = (list.page - 1) * list.page_size;
  if (last === 1 || list.page > last) return null;
  const to = (page, label) =>
    page < 1 || page > last
      ? html`<span class="button" aria-disabled="true">${label}</span>`
      : html`<a class="button" href=${listLink({ ...query, page })}>${label}</a>`;
  return html`
    <nav class="pages" aria-label="Pages">
      ${to(list.page - 1, "Newer")}
      <span class="muted">${number(first + 1)} – ${number(first + list.jobs.length)} of ${number(list.total)}</span>
      ${to(list.page + 1, "Older")}
    </nav>`;
}
