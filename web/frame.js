/**
 * What all pages have around their content.
 * @module
 */

import { LANGUAGES, choose, language } from "./language.js";
import { html, useState } from "./ui.js";

/** The sign of the house. */
export function Mark() {
  return html`
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M6 13.5c3.3-4.6 6.7-4.6 10 0s6.7 4.6 10 0" />
      <path d="M6 20.5c3.3-4.6 6.7-4.6 10 0s6.7 4.6 10 0" opacity=".55" />
    </svg>`;
}

/** @param {{ label: string }} props */
export function LanguageSwitch({ label }) {
  return html`
    <label class="language">
      <span class="visually-hidden">${label}</span>
      <select data-action="language" onChange=${(/** @type {Event} */ event) =>
        choose(/** @type {HTMLSelectElement} */ (event.currentTarget).value)}>
        ${Object.entries(LANGUAGES).map(([tag, name]) => html`
          <option key=${tag} value=${tag} lang=${tag} selected=${tag === language}>${name}</option>`)}
      </select>
    </label>`;
}

/** @param {{ text: string, words: { copy: string, copied: string }, of?: string }} props `of`: what, for screen readers */
export function Copy({ text, words, of }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await copyText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return html`
    <button type="button" class="quiet" data-action="copy" onClick=${copy}>
      <span aria-live="polite">${copied ? words.copied : words.copy}</span>
      ${of && html`<span class="visually-hidden"> ${of}</span>`}
    </button>`;
}

/**
 * To the clipboard. Browsers offer the new way to secure pages only; the old way needs text that is selected.
 * @param {string} text
 */
async function copyText(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  // Inside an open dialog everything else can't be selected.
  (before?.closest("dialog") ?? document.body).append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
  before?.focus();
}

/**
 * A link's click handler that stays on the page, unless the viewer wants a new tab or window.
 * @param {() => void} action
 */
export function follows(action) {
  return (/** @type {MouseEvent} */ event) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    action();
  };
}
