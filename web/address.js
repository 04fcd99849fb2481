/**
 * What the page shows, kept in its URL: `/?path=live/demo&via=flv`. What opens a broadcast (`key=…`, `token=…`, a signed URL's
 * parameters) stands there too, and goes on to the media.
 * @module
 */

/** @typedef {"hls" | "webrtc" | "flv" | "ws"} Via how the media comes */
/**
 * @typedef {{ path: string | null, via: Via, credentials: string }} Place `credentials`: a query for the media, empty without any
 */

/** @type {Via[]} */
export const VIAS = ["hls", "webrtc", "flv", "ws"];

/** Parameters that say who asks and for which vhost, as the server carries them through playlists. */
const CREDENTIALS = ["token", "key", "vhost", "sig", "kid", "expires", "act", "ip"];

/** @returns {Place} */
export function place() {
  const query = new URLSearchParams(location.search);
  const via = VIAS.find((known) => known === query.get("via")) ?? "hls";
  const credentials = new URLSearchParams([...query].filter(([name]) => CREDENTIALS.includes(name)));
  // The first says which broadcast is shown; a signed URL's own says what it is good for.
  for (const pattern of query.getAll("path").slice(1)) credentials.append("path", pattern);
  return { path: query.get("path") || null, via, credentials: credentials.toString() };
}

/**
 * The address of a place, with the slash of a path left readable.
 * @param {Place} to
 */
export function address(to) {
  if (to.path === null) return to.credentials ? `/?${to.credentials}` : "/";
  const more = to.credentials && `&${to.credentials}`;
  return `/?path=${encodeURIComponent(to.path).replaceAll("%2F", "/")}&via=${to.via}${more}`;
}

/**
 * The URL of a broadcast's media.
 * @param {string} path as in `live/demo`
 * @param {Via} via
 * @param {string} credentials
 */
export function mediaUrl(path, via, credentials) {
  const base = `/${path.split("/").map(encodeURIComponent).join("/")}`;
  const ends = { hls: "/index.m3u8", webrtc: "/whep", flv: ".flv", ws: ".flv" };
  const url = new URL(base + ends[via], location.href);
  url.search = credentials;
  if (via === "ws") url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
