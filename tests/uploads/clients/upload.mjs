// node upload.mjs ENDPOINT KEY FILE: uploads the file with tus-js-client, and prints the address of the upload.
// It is used as it comes, but for one more try: a machine that is busy with other tests may take longer than 9 s.
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { Upload } from "tus-js-client";

const [endpoint, key, path] = process.argv.slice(2);

const url = await new Promise((resolve, reject) => {
  const upload = new Upload(createReadStream(path), {
    endpoint,
    retryDelays: [0, 1000, 3000, 5000, 5000],
    headers: { Authorization: `Bearer ${key}` },
    metadata: { filename: basename(path) },
    onSuccess: () => resolve(upload.url),
    onError: reject,
  });
  upload.start();
});
console.log(url);
process.exit(0);
