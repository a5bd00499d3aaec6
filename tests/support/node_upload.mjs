// node node_upload.mjs URL FILE: uploads the file as a form, with `fetch` and with `http.request`, and prints each answer.
import { openAsBlob, createReadStream, statSync } from "node:fs";
import { request } from "node:http";

const [url, path] = process.argv.slice(2);

async function withFetch() {
  const form = new FormData();
  form.append("file", await openAsBlob(path), "large.mp4");
  const answer = await fetch(url, { method: "POST", body: form });
  return `${answer.status} ${await answer.text()}`;
}

function withRequest() {
  const boundary = "node-upload";
  const start = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="large.mp4"\r\n\r\n`;
  const end = `\r\n--${boundary}--\r\n`;
  const headers = {
    "Content-Type": `multipart/form-data; boundary=${boundary}`,
    "Content-Length": start.length + statSync(path).size + end.length,
  };
  return new Promise((resolve, reject) => {
    const sending = request(url, { method: "POST", headers }, (answer) => {
      let text = "";
      answer.on("data", (piece) => (text += piece));
      answer.on("end", () => resolve(`${answer.statusCode} ${text}`));
    });
    sending.on("error", reject);
    sending.write(start);
    createReadStream(path).on("end", () => sending.end(end)).pipe(sending, { end: false });
  });
}

console.log(await withFetch());
console.log(await withRequest());
process.exit(0);
