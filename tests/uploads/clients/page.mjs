// Bundled for a page, whose `upload` uploads the file at PATH of its server with Uppy as it comes.
import Uppy from "@uppy/core";
import Tus from "@uppy/tus";

globalThis.upload = async (endpoint, key, path) => {
  const data = await (await fetch(path)).blob();
  const uppy = new Uppy().use(Tus, { endpoint, headers: { Authorization: `Bearer ${key}` } });
  uppy.addFile({ name: path.split("/").pop(), type: "video/mp4", data });
  const { successful, failed } = await uppy.upload();
  return { urls: successful.map((file) => file.uploadURL), errors: failed.map((file) => file.error) };
};
