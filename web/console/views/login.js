/**
 * Trades a credential for a cookie.
 * @module
 */

import { html, useState } from "../../ui.js";
import { ask } from "../api.js";
import { texts } from "../texts.js";
import { refusal } from "../words.js";

/** @param {{ enter: () => Promise<void> }} props */
export function Login({ enter }) {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    setBusy(true);
    setError("");
    try {
      await ask("login", { method: "POST", body: { token: String(new FormData(form).get("token")).trim() } });
      await enter();
    } catch (reason) {
      const refused = /** @type {import("../api.js").Refused} */ (reason);
      setError(refused.status === 401 ? texts.login.wrong : refusal(refused));
      setBusy(false);
    }
  };
  return html`
    <form class="login panel" data-view="login" onSubmit=${submit}>
      <h1 tabindex="-1">${texts.login.title}</h1>
      <label>
        <span>${texts.login.token}</span>
        <input name="token" type="password" autocomplete="current-password" required autofocus
          aria-describedby="login-wrong login-help" aria-invalid=${error !== ""} />
      </label>
      <p class="soft" id="login-help">${texts.login.help}</p>
      <div role="alert" id="login-wrong">${error && html`<p class="notice warn">${error}</p>`}</div>
      <button type="submit" class="primary" disabled=${busy}>${texts.login.enter}</button>
    </form>`;
}
