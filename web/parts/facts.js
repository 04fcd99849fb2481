/**
 * Names and values.
 * @module
 */

import { html } from "../ui.js";

/** @param {{ pairs: [string, any][], label: string }} props */
export function Facts({ pairs, label }) {
  return html`
    <dl class="facts-list" aria-label=${label}>
      ${pairs.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
    </dl>`;
}
