/**
 * The language of the pages: the one that was chosen here before, else the first of the browser's wishes that exists.
 * @module
 */

import { useEffect, useState } from "./ui.js";

/** Every language, under the name that its readers know it by. */
export const LANGUAGES = /** @type {const} */ ({ en: "English", "zh-CN": "简体中文" });

/** @typedef {keyof typeof LANGUAGES} Language */

/** Where a choice is remembered, for all pages of this origin. */
const REMEMBERED_AS = "floodtide.language";
/** Tells `change` after a choice. Text tables listen first, since they are imported first. */
export const choices = new EventTarget();

/** @type {Language} */
export let language = remembered() ?? wished() ?? "en";
document.documentElement.lang = language;

/** @param {string} chosen */
export function choose(chosen) {
  if (!isLanguage(chosen)) return;
  language = chosen;
  document.documentElement.lang = chosen;
  try {
    localStorage.setItem(REMEMBERED_AS, chosen);
  } catch {
    // A browser that keeps nothing for this site forgets the choice with the page.
  }
  choices.dispatchEvent(new Event("change"));
}

/** Draws a component anew after a choice; everything below it follows. */
export function useLanguage() {
  const [shown, setShown] = useState(language);
  useEffect(() => {
    const changed = () => setShown(language);
    choices.addEventListener("change", changed);
    return () => choices.removeEventListener("change", changed);
  }, []);
  return shown;
}

/** @returns {Language | null} */
function remembered() {
  try {
    const known = localStorage.getItem(REMEMBERED_AS);
    return known !== null && isLanguage(known) ? known : null;
  } catch {
    return null;
  }
}

/** The same language of another place is better than none: `zh-TW` reads `zh-CN`. @returns {Language | undefined} */
function wished() {
  const known = /** @type {Language[]} */ (Object.keys(LANGUAGES));
  return navigator.languages.map((tag) => tag.toLowerCase().split("-")[0])
    .map((wish) => known.find((tag) => tag.toLowerCase().split("-")[0] === wish))
    .find((tag) => tag !== undefined);
}

/** @param {string} tag @returns {tag is Language} */
function isLanguage(tag) {
  return Object.hasOwn(LANGUAGES, tag);
}
