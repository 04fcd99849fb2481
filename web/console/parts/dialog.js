/**
 * Asks before something happens that can't be taken back.
 * @module
 */

import { html, useEffect, useRef, useState } from "../../ui.js";
import { Refused } from "../api.js";
import { refusal } from "../words.js";
import { texts } from "../texts.js";

/** @typedef {{ question: string, detail: string, confirm: string, act: () => Promise<unknown>, done: string }} Question */

/**
 * @param {{ question: Question | null, close: () => void, tell: (text: string) => void }} props
 */
export function Confirm({ question, close, tell }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    setError("");
    if (question) dialog.current?.showModal();
    else dialog.current?.close();
  }, [question]);
  const act = async () => {
    if (!question) return;
    setBusy(true);
    try {
      await question.act();
      tell(question.done);
      close();
    } catch (reason) {
      setError(refusal(/** @type {Refused} */ (reason)));
    }
    setBusy(false);
  };
  return html`
    <dialog ref=${dialog} aria-labelledby="question" onClose=${close}>
      <h2 id="question">${question?.question}</h2>
      <p>${question?.detail}</p>
      ${error && html`<p class="notice warn" role="alert">${error}</p>`}
      <div class="actions">
        <button type="button" class="quiet" onClick=${close}>${texts.cancel}</button>
        <button type="button" class="danger" data-action="confirm" disabled=${busy} onClick=${act}>${question?.confirm}</button>
      </div>
    </dialog>`;
}
