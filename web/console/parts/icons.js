/**
 * What a broadcast is made of, as a picture.
 * @module
 */

import { html } from "../../ui.js";

/** @param {{ video: boolean }} props */
export function MediaIcon({ video }) {
  return html`
    <svg class="media" viewBox="0 0 24 24" aria-hidden="true">
      ${video
        ? html`<rect x="2.5" y="5.5" width="13.5" height="13" rx="2.5" /><path d="m16 10.5 5.5-3v9l-5.5-3" />`
        : html`<path d="M9 18V5.5l10-2V16" /><circle cx="6.3" cy="18" r="2.7" /><circle cx="16.3" cy="16" r="2.7" />`}
    </svg>`;
}
