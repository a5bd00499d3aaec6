// node client.js URL submit          uploads a video, submits two jobs with a config of one field, prints their ids
// node client.js URL fetch JOB_ID    follows the job to its end, lists it, fetches its result and a file, prints them
import createClient from "openapi-fetch";
import type { components, paths } from "./clipzy.js";

declare const process: { argv: string[] };

type Job = components["schemas"]["Job"];
type JobConfig = components["schemas"]["JobConfig"];

const [, , url, command, jobId] = process.argv as [string, string, string, string, string];
const clipzy = createClient<paths>({ baseUrl: url });
const config: JobConfig = { sprites: false };
// @ts-expect-error: no such field
const wrong: JobConfig = { colour: 1 };

function found<Data>(answer: { data?: Data; error?: components["schemas"]["Problem"] }): Data {
  if (answer.data === undefined) throw new Error(answer.error?.code);
  return answer.data;
}

function toForm(body: object): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(body)) {
    if (value instanceof Blob) form.append(name, value, "holiday.mp4");
    else form.append(name, JSON.stringify(value));
  }
  return form;
}

async function submit(): Promise<Job[]> {
  const head = "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2";
  const file = new Blob([head, "x".repeat(1000)]) as unknown as string; // a file has no type of its own in OpenAPI
  const uploaded = found(await clipzy.POST("/api/v1/jobs", { body: { file, config }, bodySerializer: toForm }));
  const named = found(await clipzy.POST("/api/v1/jobs", { body: { video_id: uploaded.video_id, config } }));
  return [uploaded, named];
}

async function follow(job_id: string): Promise<Job> {
  for (;;) {
    const answer = await clipzy.GET("/api/v1/jobs/{job_id}", { params: { path: { job_id } } });
    const wait = answer.response.headers.get("Retry-After");
    if (wait === null) return found(answer);
    await new Promise((resolve) => setTimeout(resolve, 1000 * Number(wait)));
  }
}

async function fetchAll(job_id: string): Promise<object> {
  const job = await follow(job_id);
  const page = found(await clipzy.GET("/api/v1/jobs", { params: { query: { status: "completed", page_size: 100 } } }));
  const result = found(await clipzy.GET("/api/v1/jobs/{job_id}/result", { params: { path: { job_id } } }));
  const path = { job_id, name: result.artifacts[0]?.name ?? "none" };
  const file = await clipzy.GET("/api/v1/jobs/{job_id}/files/{name}", { params: { path }, parseAs: "arrayBuffer" });
  const nothing = await clipzy.GET("/api/v1/jobs/{job_id}", { params: { path: { job_id: "job_x" } } });
  return {
    status: job.status,
    config: job.config,
    listed: page.jobs.map((listed) => listed.job_id),
    duration_seconds: result.source.duration_seconds,
    file_bytes: (file.data as ArrayBuffer).byteLength,
    code: nothing.error?.code,
  };
}

console.log(JSON.stringify(command === "submit" ? await submit() : await fetchAll(jobId)));
