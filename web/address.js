/**
 * What the page shows, kept in its URL: `/?path=live/demo&via=flv`.
 * @module
 */

/** @typedef {"hls" | "webrtc" | "flv" | "ws"} Via how the media comes */
/** @typedef {{ path: string | null, via: Via }} Place */

/** @type {Via[]} */
export const VIAS = ["hls", "webrtc", "flv", "ws"];

/** @returns {Place} */
export function place() {
  const query = new URLSearchParams(location.search);
  const via = VIAS.find((known) => known === query.get("via")) ?? "hls";
  return { path: query.get("path") || null, via };
}

/**
 * The address of a place, with the slash of a path left readable.
 * @param {Place} to
 */
export function address(to) {
  if (to.path === null) return "/";
  return `/?path=${encodeURIComponent(to.path).replaceAll("%2F", "/")}&via=${to.via}`;
}

/**
 * The URL of a broadcast's media.
 * @param {string} path as in `live/demo`
 * @param {Via} via
 */
export function mediaUrl(path, via) {
  const base = `/${path.split("/").map(encodeURIComponent).join("/")}`;
  const ends = { hls: "/index.m3u8", webrtc: "/whep", flv: ".flv", ws: ".flv" };
  const url = new URL(base + ends[via], location.href);
  if (via === "ws") url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
