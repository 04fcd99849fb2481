/**
 * The texts of the player page in the reader's language. A further language is one more table, here and in `LANGUAGES`.
 * @module
 */

import { choices, language } from "./language.js";
import { english } from "./texts/en.js";
import { chinese } from "./texts/zh-cn.js";

/** @type {Record<import("./language.js").Language, typeof english>} */
const tables = { en: english, "zh-CN": chinese };

export let texts = tables[language];
choices.addEventListener("change", () => (texts = tables[language]));
