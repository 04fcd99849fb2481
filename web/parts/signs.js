/**
 * Signs that differ by shape, so that nobody needs to tell colours apart.
 * @module
 */

import { html } from "../ui.js";

/** @typedef {"ok" | "info" | "warning" | "problem" | "waiting"} Sign */

const SHAPES = {
  ok: html`<circle cx="12" cy="12" r="9.5" /><path d="m7.5 12.4 3 3 6-6.4" />`,
  info: html`<circle cx="12" cy="12" r="9.5" /><path d="M12 11v6M12 7v.4" />`,
  warning: html`<path d="M12 3 22 20.5H2z" /><path d="M12 10v5M12 17.6v.3" />`,
  problem: html`<path d="M8 2.5h8L21.5 8v8L16 21.5H8L2.5 16V8z" /><path d="m8.6 8.6 6.8 6.8m0-6.8-6.8 6.8" />`,
  waiting: html`<circle cx="12" cy="12" r="9.5" /><path d="M12 6.5V12l3.6 2.4" />`,
};

/** @param {{ sign: Sign }} props its meaning stands beside it in words */
export function SignIcon({ sign }) {
  return html`<svg class="sign ${sign}" viewBox="0 0 24 24" aria-hidden="true">${SHAPES[sign]}</svg>`;
}
