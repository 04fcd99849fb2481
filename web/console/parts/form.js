/**
 * Forms that make something: what is wrong in them stands beside the field that it is about.
 * @module
 */

import { SignIcon } from "../../parts/signs.js";
import { html, useEffect, useRef, useState } from "../../ui.js";
import { Refused } from "../api.js";
import { texts } from "../texts.js";
import { refusal } from "../words.js";

/**
 * Why a form was not taken. Without a field it is about the whole.
 * @typedef {{ field: string | null, words: string, detail: string }} Wrong
 */

/**
 * @typedef {object} Sending
 * @property {{ current: HTMLFormElement | null }} form
 * @property {Wrong | null} wrong
 * @property {boolean} busy
 * @property {(event: SubmitEvent) => Promise<void>} submit
 * @property {(field: string) => void} changed a field that is written anew is not wrong until it is sent again
 */

/**
 * @param {(form: FormData) => Promise<void>} send
 * @returns {Sending}
 */
export function useSending(send) {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const [wrong, setWrong] = useState(/** @type {Wrong | null} */ (null));
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    // Whoever uses the keyboard or a screen reader is where it can be mended.
    if (wrong?.field) input(form.current, wrong.field)?.focus();
  }, [wrong]);
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    if (!form.current || busy) return;
    const empty = [...form.current.elements].find((one) => one instanceof HTMLInputElement && one.required && one.value.trim() === "");
    if (empty) {
      setWrong({ field: /** @type {HTMLInputElement} */ (empty).name, words: texts.forms.missing, detail: "" });
      return;
    }
    setBusy(true);
    setWrong(null);
    try {
      await send(new FormData(form.current));
      form.current.reset();
    } catch (reason) {
      setWrong(said(form.current, /** @type {Refused} */ (reason)));
    }
    setBusy(false);
  };
  const changed = (/** @type {string} */ field) => {
    if (wrong?.field === field) setWrong(null);
  };
  return { form, wrong, busy, submit, changed };
}

/** @param {HTMLFormElement | null} form @param {Refused} refused @returns {Wrong} */
function said(form, refused) {
  const { field, message } = refused;
  if (field !== null && input(form, field)) {
    const words = texts.forms.wrong[/** @type {"path"} */ (field)] ?? texts.forms.unfit;
    return { field, words, detail: message.replace(`${field}: `, "") };
  }
  return { field: null, words: refusal(refused), detail: "" };
}

/** @param {HTMLFormElement | null} form @param {string} name @returns {HTMLInputElement | null} */
function input(form, name) {
  return form?.querySelector(`input[name="${CSS.escape(name)}"]`) ?? null;
}

/**
 * A form behind a summary.
 * @param {{ name: string, label: string, sending: Sending, children?: any }} props
 */
export function Making({ name, label, sending: { form, wrong, busy, submit }, children }) {
  return html`
    <details class="making" data-making=${name}>
      <summary>${label}</summary>
      <form ref=${form} onSubmit=${submit} novalidate>
        ${children}
        <div role="alert">${wrong && wrong.field === null && html`<p class="notice warn">${wrong.words}</p>`}</div>
        <button type="submit" class="primary" disabled=${busy}>${label}</button>
      </form>
    </details>`;
}

/**
 * A line of text, with what helps to fill it in and what is wrong with it.
 * @param {{
 *   sending: Sending, form: string, name: string, label: string, help?: string, required?: boolean, placeholder?: string,
 *   maxlength?: number,
 * }} props `form` tells fields of the same name apart
 */
export function Field({ sending: { wrong, changed }, form, name, label, help, ...rest }) {
  const id = `${form}-${name}`;
  const isWrong = wrong?.field === name;
  const described = [isWrong ? `${id}-wrong` : "", help ? `${id}-help` : ""].filter(Boolean).join(" ");
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <input id=${id} name=${name} ...${rest} autocapitalize="off" spellcheck="false" onInput=${() => changed(name)}
        aria-invalid=${isWrong ? "true" : undefined} aria-describedby=${described === "" ? undefined : described} />
      ${isWrong && html`
        <p class="field-wrong" id=${`${id}-wrong`} data-wrong=${name}>
          <${SignIcon} sign="problem" />
          <span>${wrong?.words} ${wrong?.detail && html`<span lang="en">${wrong.detail}</span>`}</span>
        </p>`}
      ${help && html`<p class="soft" id=${`${id}-help`}>${help}</p>`}
    </div>`;
}
