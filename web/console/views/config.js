/**
 * The running configuration, with secrets masked, and reading it again.
 * @module
 */

import { decimal } from "../../format.js";
import { Facts } from "../../parts/facts.js";
import { html, useState } from "../../ui.js";
import { ask } from "../api.js";
import { useAnswer } from "../live.js";
import { texts } from "../texts.js";
import { may } from "../types.js";
import { refusal } from "../words.js";

/** @typedef {{ applied: string[], needs_restart: string[], revoked: number }} Reloaded */

/** @param {import("../types.js").Console} props */
export function Configuration({ who }) {
  const { value, error, refresh } = useAnswer("config", 0);
  const [result, setResult] = useState(/** @type {Reloaded | import("../api.js").Refused | null} */ (null));
  const [busy, setBusy] = useState(false);
  const words = texts.config;
  const reload = async () => {
    setBusy(true);
    try {
      setResult(await ask("config/reload", { method: "POST" }));
    } catch (reason) {
      setResult(/** @type {import("../api.js").Refused} */ (reason));
    }
    setBusy(false);
    refresh();
  };
  return html`
    <div class="view" data-view="config">
      <div class="head">
        <h1 tabindex="-1">${texts.views.config}</h1>
        ${may(who, "operator") && html`
          <div class="actions">
            <button type="button" class="primary" data-action="reload" disabled=${busy} onClick=${reload}>${words.reload}</button>
          </div>`}
      </div>
      <p class="soft">${words.help}</p>
      <div role="status" data-result>${result && html`<${Result} result=${result} />`}</div>
      ${error && html`<p class="notice warn" role="status">${refusal(error)}</p>`}
      ${value && sections(value).map(({ name, heading, pairs }) => html`
        <section key=${name} class="panel config" aria-labelledby=${`section-${name.replace(" ", "-")}`}>
          <h2 id=${`section-${name.replace(" ", "-")}`}><code>${heading}</code></h2>
          <${Facts} label=${name} pairs=${pairs.map(([key, of]) => [html`<code>${key}</code>`, html`<code>${of}</code>`])} />
        </section>`)}
    </div>`;
}

/** @param {{ result: Reloaded | import("../api.js").Refused }} props */
function Result({ result }) {
  const words = texts.config;
  if (result instanceof Error) {
    return html`<p class="notice warn">${words.refused}</p><pre class="notice warn" lang="en" tabindex="0">${result.message}</pre>`;
  }
  const list = (/** @type {string} */ title, /** @type {string[]} */ keys) => keys.length > 0 && html`
    <p>${title}</p><ul class="keys">${keys.map((key) => html`<li key=${key}><code>${key}</code></li>`)}</ul>`;
  return html`
    <div class="notice">
      ${result.applied.length + result.needs_restart.length === 0 && html`<p>${words.unchanged}</p>`}
      ${list(words.applied, result.applied)}
      ${list(words.needsRestart, result.needs_restart)}
      ${result.revoked > 0 && html`<p>${words.revoked(decimal(result.revoked))}</p>`}
    </div>`;
}

/**
 * The tree as sections with plain values, as in TOML.
 * @param {Record<string, any>} tree
 */
function sections(tree) {
  const found = /** @type {{ name: string, heading: string, pairs: [string, string][] }[]} */ ([]);
  const walk = (/** @type {string} */ name, /** @type {Record<string, any>} */ section, heading = `[${name}]`) => {
    const inner = Object.entries(section).filter(([, value]) => isTable(value));
    const pairs = Object.entries(section).filter(([, value]) => !isTable(value) && !isTables(value) && value !== null);
    // The root has sections only; a list there is one without entries.
    if (name !== "" && pairs.length > 0) found.push({ name, heading, pairs: pairs.map(([key, value]) => [key, JSON.stringify(value)]) });
    for (const [key, value] of inner) walk(name === "" ? key : `${name}.${key}`, value);
    for (const [key, list] of Object.entries(section).filter(([, value]) => isTables(value))) {
      const whole = name === "" ? key : `${name}.${key}`;
      for (const [at, value] of list.entries()) walk(`${whole} ${at + 1}`, value, `[[${whole}]]`);
    }
  };
  walk("", tree);
  return found;
}

/** @param {unknown} value */
const isTable = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
/** @param {unknown} value */
const isTables = (value) => Array.isArray(value) && value.length > 0 && value.every(isTable);
