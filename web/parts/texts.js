/**
 * The texts of the shared parts in the reader's language.
 * @module
 */

import { choices, language } from "../language.js";
import { english } from "./texts/en.js";
import { chinese } from "./texts/zh-cn.js";

/** @type {Record<import("../language.js").Language, typeof english>} */
const tables = { en: english, "zh-CN": chinese };

export let texts = tables[language];
choices.addEventListener("change", () => (texts = tables[language]));
