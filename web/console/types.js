/**
 * What the API answers, as far as the console reads it. The server's own description is `/v1/openapi.json`.
 * @module
 */

/** @typedef {import("../parts/health.js").HealthStatus} HealthStatus */
/** @typedef {import("../parts/health.js").HealthFull} HealthFull */
/** @typedef {import("../parts/health.js").Advice} Advice */
/** @typedef {{ t: string, kbit_s: number, egress_kbit_s: number, viewers: number }} Moment */

/**
 * @typedef {object} Broadcast
 * @property {string} path
 * @property {string} vhost
 * @property {string} app
 * @property {string} name
 * @property {boolean} live
 * @property {string} since
 * @property {number} age_s
 * @property {number} viewers
 * @property {Record<string, number>} viewers_by_protocol
 * @property {{ bytes: number, kbit_s: number, protocol: string | null, peer: string | null }} ingest
 * @property {{ bytes: number, kbit_s: number }} egress
 * @property {{ codec: string, width: number | null, height: number | null, fps: number | null } | null} video
 * @property {{ codec: string, sample_rate: number, channels: number } | null} audio
 * @property {{ status: HealthStatus, advice: Advice[] }} health
 * @property {string[]} transcoded
 * @property {Webrtc | null} webrtc
 * @property {Moment[]} history
 */

/**
 * @typedef {object} Session
 * @property {string} id
 * @property {"publisher" | "viewer"} role
 * @property {string} protocol
 * @property {string} path
 * @property {string} peer
 * @property {string} since
 * @property {number} age_s
 * @property {number} bytes
 * @property {number} skips
 * @property {string} [transcoded] what its sound is converted to
 * @property {Link} [link] where the protocol measures it
 */

/**
 * @typedef {{
 *   rtt_ms: number, latency_ms: number, packets: number, missed: number, resent: number, lost: number, bits_per_s: number,
 *   encrypted: boolean,
 * }} Link
 */

/** @typedef {{ name: string, codec: string | null, width: number | null, height: number | null, kbit_s: number, base: boolean }} Rendition */

/**
 * What viewers by WebRTC get of B-frames.
 * @typedef {{ b_frames: "none" | "dropped" | "transcoded" | "refused", policy: "drop" | "transcode" | "refuse", why: string | null }} Webrtc
 */

/** @typedef {Omit<Session, "age_s"> & { duration_s: number, reason: string, reason_text: string }} Ended */

/**
 * @typedef {object} Track
 * @property {number} id
 * @property {"video" | "audio"} kind
 * @property {string} codec
 * @property {number | null} width
 * @property {number | null} height
 * @property {number | null} sample_rate
 * @property {number | null} channels
 */

/**
 * @typedef {Omit<Broadcast, "health"> & {
 *   health: HealthFull, tracks: Track[], renditions: Rendition[], publisher: Session | null, sessions: Session[], queue_bytes: number,
 * }} BroadcastFull
 */

/**
 * @typedef {object} Node
 * @property {string} version
 * @property {string} phase
 * @property {number} uptime_s
 * @property {{ cores: number, busy: number }} cpu
 * @property {{ rss: number }} memory
 * @property {{ open: number, max: number | null }} descriptors
 * @property {{ kbit_s: number, viewers: number, workers: Worker[] }} egress
 * @property {{ publishers: number, kbit_s: number }} ingest
 * @property {number} broadcasts
 * @property {{ t: string, cpu: number, memory_bytes: number, ingest_kbit_s: number, egress_kbit_s: number, viewers: number }[]} history
 */
/** @typedef {{ busy: number, window_ms: number, viewers: number, queue_bytes: number }} Worker */

/**
 * @typedef {{
 *   id: number, path: string, remote: string, state: "connecting" | "live" | "waiting", last_error: string | null, bytes: number,
 * }} Outward
 */

/** @typedef {{ name: string, role: "viewer" | "operator" | "admin", credential: boolean }} Who */

/**
 * What every view gets.
 * @typedef {object} Console
 * @property {Who} who
 * @property {(to: import("./address.js").Place) => void} go
 * @property {(text: string) => void} tell says it to everybody, screen readers too
 */

const RANKS = ["viewer", "operator", "admin"];

/** Whether somebody has at least this role. @param {Who} who @param {"operator" | "admin"} role */
export const may = (who, role) => RANKS.indexOf(who.role) >= RANKS.indexOf(role);
