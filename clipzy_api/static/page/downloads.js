// Every file of the result, and the uploaded video.
import { html } from "./vendor/htm-preact.js";
import { own } from "./api.js";
import { size, words } from "./format.js";

export function Downloads({ job, result }) {
  const { output, links } = result;
  const [stills, others] = [true, false].map((wanted) =>
    output.artifacts.filter((artifact) => (artifact.kind === "thumbnail") === wanted),
  );
  const row = (artifact) => html`<${File} key=${artifact.name} name=${artifact.name} link=${links.get(artifact.name)}
    kind=${words(artifact.kind)} bytes=${artifact.size_bytes} />`;
  return html`
    <section aria-labelledby="downloads-title">
      <h2 id="downloads-title">Downloads</h2>
      <ul class="files">
        ${
          result.video &&
          html`
          <${File} name=${output.source.filename} link=${result.video.link} kind="the uploaded video"
            bytes=${output.source.size_bytes} />`
        }
        <${File} name="output.json" link=${own(job.result.storage_url)} kind="all figures" />
        ${others.map(row)}
      </ul>
      ${
        stills.length > 0 &&
        html`
        <details>
          <summary>${stills.length} ${stills.length === 1 ? "thumbnail" : "thumbnails"}</summary>
          <ul class="files">${stills.map(row)}</ul>
        </details>`
      }
    </section>`;
}

function File({ name, link, kind, bytes }) {
  return html`
    <li><a ...${downloadOf(name, link)}>${name}</a>
      <span class="muted">${kind}${bytes !== undefined && ` · ${size(bytes)}`}</span></li>`;
}

/** One file as a button. */
export function DownloadButton({ artifact: { name, size_bytes: bytes }, result }) {
  return html`
    <a class="button" ...${downloadOf(name, result.links.get(name))}>Download
      <span class="hidden">${name}</span><span class="muted">${size(bytes)}</span></a>`;
}

/** What a link has that downloads a file of this name. */
function downloadOf(name, link) {
  // Browsers ignore `download` at another origin, such as that of a bucket, and would leave this page.
  const isElsewhere = new URL(link, document.baseURI).origin !== location.origin;
  return { href: link, download: name.replaceAll("/", "-"), target: isElsewhere ? "_blank" : null };
}
