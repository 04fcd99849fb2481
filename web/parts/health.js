/**
 * Input health in words and figures, as whoever runs the server and whoever publishes see it.
 * @module
 */

import { bitrate, decimal, percent } from "../format.js";
import { html } from "../ui.js";
import { Facts } from "./facts.js";
import { SignIcon } from "./signs.js";
import { texts } from "./texts.js";

/** @typedef {"ok" | "warning" | "error"} HealthStatus */
/** @typedef {{ code: string, severity: "info" | "warning" | "problem", text: string }} Advice */

/**
 * @typedef {object} Flow
 * @property {"absent" | "here" | "promised" | "silent"} presence
 * @property {number | null} silent_s
 * @property {number | null} frames_per_s
 * @property {number | null} frames_per_s_nominal
 * @property {number | null} kbit_s
 * @property {number | null} variation
 * @property {number} jitter_ms
 * @property {number} lateness_ms
 * @property {number} late
 */

/**
 * What the server says of one broadcast.
 * @typedef {object} HealthFull
 * @property {HealthStatus} status
 * @property {Advice[]} advice
 * @property {number | null} publishing_s
 * @property {Flow} video
 * @property {Flow} audio
 * @property {{ last_s: number | null, mean_s: number | null, longest_s: number | null, open_s: number | null, mean_frames: number, gaps_lately: number }} groups
 * @property {boolean} b_frames
 * @property {number} reorder_ms
 * @property {number} repairs
 * @property {number} repairs_lately
 * @property {number} reconnects
 * @property {number} reconnects_lately
 */

/** @type {Record<HealthStatus, import("./signs.js").Sign>} */
const SIGNS = { ok: "ok", warning: "warning", error: "problem" };

/** @param {{ status: HealthStatus, live: boolean }} props */
export function HealthBadge({ status, live }) {
  const sign = live ? SIGNS[status] : "waiting";
  return html`
    <span class="badge ${sign}" data-health=${live ? status : "waiting"}>
      <${SignIcon} sign=${sign} />${live ? texts.health.status[status] : texts.health.waiting}
    </span>`;
}

/** @param {{ advice: Advice[] }} props */
export function AdviceList({ advice }) {
  if (advice.length === 0) return html`<p class="advice-none"><${SignIcon} sign="ok" />${texts.health.nothing}</p>`;
  return html`
    <ul class="advice">
      ${advice.map(({ code, severity, text }) => html`
        <li key=${code} class=${severity} data-advice=${code}>
          <${SignIcon} sign=${severity} />
          <div>
            <p class="advice-title">
              <span class="visually-hidden">${texts.health.severity[severity]} </span>${adviceTitle(code)}
            </p>
            <p>${texts.health.text(code, text)}</p>
          </div>
        </li>`)}
    </ul>`;
}

/** @param {string} code */
export function adviceTitle(code) {
  return texts.health.titles[/** @type {"b_frames"} */ (code)] ?? code;
}

/** @param {{ health: HealthFull }} props */
export function HealthFigures({ health }) {
  return html`<${Facts} label=${texts.figures.title} pairs=${figures(health)} />`;
}

/** @param {HealthFull} health @returns {[string, string][]} */
function figures({ video: picture, audio: sound, groups, b_frames, reorder_ms, ...rest }) {
  const words = texts.figures;
  const s = (/** @type {number | null} */ value) => (value === null ? texts.none : texts.seconds(decimal(value, 1)));
  const ms = (/** @type {number} */ value) => texts.milliseconds(decimal(value));
  const flow = (/** @type {Flow} */ of) =>
    [words.presence[of.presence], of.kbit_s === null ? null : bitrate(of.kbit_s), of.variation === null ? null : `±\u00a0${percent(of.variation)}`]
      .filter(Boolean).join(" · ");
  return [
    [words.video, flow(picture)],
    [words.audio, flow(sound)],
    [words.fps, words.ofNominal(picture.frames_per_s === null ? texts.none : decimal(picture.frames_per_s, 1),
      picture.frames_per_s_nominal === null ? null : decimal(picture.frames_per_s_nominal))],
    [words.keyframes, words.meanAndLongest(s(groups.mean_s), s(groups.longest_s))],
    [words.lastKeyframe, groups.open_s === null ? texts.none : words.ago(s(groups.open_s))],
    [words.gaps, words.inLastMinute(decimal(groups.gaps_lately))],
    [words.bFrames, b_frames ? words.bFramesOn(ms(reorder_ms)) : words.off],
    [words.lateness, ms(Math.max(picture.lateness_ms, sound.lateness_ms))],
    [words.jitter, ms(Math.max(picture.jitter_ms, sound.jitter_ms))],
    [words.repairs, words.lately(decimal(rest.repairs), decimal(rest.repairs_lately))],
    [words.reconnects, words.lately(decimal(rest.reconnects), decimal(rest.reconnects_lately))],
  ];
}
