// node upload.mjs ENDPOINT KEY FILE: uploads the file with tus-js-client as it comes, and prints the address of the upload.
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { Upload } from "tus-js-client";

const [endpoint, key, path] = process.argv.slice(2);

const url = await new Promise((resolve, reject) => {
  const upload = new Upload(createReadStream(path), {
    endpoint,
    headers: { Authorization: `Bearer ${key}` },
    metadata: { filename: basename(path) },
    onSuccess: () => resolve(upload.url),
    onError: reject,
  });
  upload.start();
});
console.log(url);
process.exit(0);
