/**
 * What the console shows, kept in its URL: `/console?view=broadcast&path=live/demo`.
 * @module
 */

export const VIEWS = /** @type {const} */ (["broadcasts", "broadcast", "stages", "node", "activity", "keys", "config"]);
/** @typedef {typeof VIEWS[number]} View */
/** @typedef {{ view: View, path: string }} Place `path` is empty unless the view is of one broadcast */

/** @returns {Place} */
export function place() {
  const query = new URLSearchParams(location.search);
  const path = query.get("path") ?? "";
  const view = VIEWS.find((known) => known === query.get("view")) ?? "broadcasts";
  return view === "broadcast" && path === "" ? { view: "broadcasts", path } : { view, path };
}

/** @param {Place} to */
export function address({ view, path }) {
  if (view === "broadcasts") return "/console";
  const of = view === "broadcast" ? `&path=${encodeURIComponent(path).replaceAll("%2F", "/")}` : "";
  return `/console?view=${view}${of}`;
}
