// Addresses within the page, behind the `#`: the server answers `/` alone, and the page works below any path.

/** The view that an address asks for: `#/jobs/job_…`, `#/fleet`, or the list with its filter. */
export function parse(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/");
  if (name === "jobs" && id) return { view: "job", id };
  if (name === "fleet") return { view: "fleet" };
  const values = new URLSearchParams(query);
  return { view: "jobs", query: { status: values.get("status") ?? "", page: Number(values.get("page")) || 1 } };
}

export const jobLink = (id) => `#/jobs/${id}`;

export function listLink({ status = "", page = 1 }) {
  const values = new URLSearchParams({ ...(status && { status }), ...(page > 1 && { page }) }).toString();
  return values ? `#/?${values}` : "#/";
}
