/**
 * Input health in words.
 * @module
 */

import { html } from "../../ui.js";
import { texts } from "../texts.js";
import { SignIcon } from "./icons.js";

/** @typedef {import("../types.js").Advice} Advice */

/** @type {Record<import("../types.js").HealthStatus, import("./icons.js").Sign>} */
const SIGNS = { ok: "ok", warning: "warning", error: "problem" };

/** @param {{ status: import("../types.js").HealthStatus, live: boolean }} props */
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
