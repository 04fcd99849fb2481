// Everything a reader sees stands in a table per language, and every table says the same things.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const WEB = fileURLToPath(new URL("../../../web", import.meta.url));
/** Names that are the same in every language. */
const NAMES = /^(RTMP|HTTP|HTTPS|LL-HLS|HLS|FLV|WS-FLV|JWT|URL|ID|×|–|·|\s)*$/;

/**
 * What a table has, without its words: `{ list: { title: "text", count: "function of 1" } }`.
 * @param {unknown} value @returns {unknown}
 */
function shape(value) {
  if (typeof value === "function") return `function of ${value.length}`;
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]).sort());
  }
  return typeof value;
}

/** Every plain text of a table under its key. @param {unknown} value @param {string} key @returns {[string, string][]} */
function plain(value, key = "") {
  if (typeof value === "string") return [[key, value]];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => plain(inner, `${key}.${name}`));
}

for (const folder of ["texts", "parts/texts", "console/texts"].filter((name) => existsSync(`${WEB}/${name}/en.js`))) {
  test(`both languages of ${folder} have the same keys`, async () => {
    const { english } = await import(`${WEB}/${folder}/en.js`);
    const { chinese } = await import(`${WEB}/${folder}/zh-cn.js`);
    assert.deepEqual(shape(chinese), shape(english));
  });

  test(`every text of ${folder} is a translation`, async () => {
    const { english } = await import(`${WEB}/${folder}/en.js`);
    const { chinese } = await import(`${WEB}/${folder}/zh-cn.js`);
    const translated = new Map(plain(chinese));
    for (const [key, text] of plain(english)) {
      const other = translated.get(key) ?? "";
      if (/[a-z]{3}/i.test(text)) assert.ok(other !== "", `${key} is empty`);
      if (other === text) assert.match(text, /^[^ ]*$/, `${key} is not translated: ${text}`);
    }
  });
}

test("the console knows every advice and every reason of an end, in both languages", async () => {
  const source = (/** @type {string} */ path) => readFileSync(`${WEB}/../crates/${path}`, "utf8");
  const after = (/** @type {string} */ text, /** @type {string} */ mark) => text.slice(text.indexOf(mark));
  const names = (/** @type {string} */ text, /** @type {string} */ type) =>
    [...text.matchAll(new RegExp(`${type}::\\w+ => "(\\w+)"`, "g"))].map(([, name]) => name);
  const codes = names(source("hub/src/health/advice.rs"), "AdviceCode");
  const reasons = names(after(source("node/src/metrics/reason.rs"), "fn label"), "CloseReason");
  assert.ok(codes.length >= 12 && reasons.length >= 11, `${codes} ${reasons}`);
  for (const language of ["en", "zh-cn"]) {
    const { english, chinese } = await import(`${WEB}/console/texts/${language}.js`);
    const parts = await import(`${WEB}/parts/texts/${language}.js`);
    const { health } = parts.english ?? parts.chinese;
    assert.deepEqual(codes.filter((code) => !(code in health.titles)), [], language);
    assert.deepEqual(reasons.filter((reason) => !(reason in (english ?? chinese).activity.reasons)), [], language);
    if (language === "zh-cn") assert.deepEqual(codes.filter((code) => health.text(code, "unknown") === "unknown"), []);
  }
});

for (const file of sources()) {
  test(`${file} has no text of its own`, () => {
    assert.deepEqual(hardCoded(readFileSync(`${WEB}/${file}`, "utf8")), []);
  });
}

test("the search for hard-coded texts finds them", () => {
  const source = "html`<p class=${a ? \"x\" : `y`}>Hello ${name}</p><i title=\"Stop it\" /><b>${html`<u>In ${x} there</u>`}</b>`";
  assert.deepEqual(hardCoded(source), ["In", "there", "Hello", "title=\"Stop it\""]);
});

/** The pages' own scripts, without the tables. */
function sources() {
  const all = /** @type {string[]} */ (readdirSync(WEB, { recursive: true }));
  return all.filter((file) => file.endsWith(".js") && !/(^|\/)(vendor|texts)\//.test(file));
}

/** Words between tags, and words in attributes that are read to people. @param {string} source */
function hardCoded(source) {
  const found = /** @type {string[]} */ ([]);
  for (const template of templates(source)) {
    const markup = template.replace(/\0/g, "\u0001");
    // Attribute values may hold a tag's end; they are looked at on their own.
    const told = markup.matchAll(/\b(?:title|alt|placeholder|aria-label|label)="[^"\u0001]*\p{L}{2}[^"]*"/gu);
    const between = markup.replace(/<(?:[^<>"]|"[^"]*")*>/g, "\n").split(/[\n\u0001]/).map((text) => text.trim());
    found.push(...between.filter((text) => /\p{L}/u.test(text) && !NAMES.test(text)), ...[...told].map(([match]) => match));
  }
  return found;
}

/**
 * The html`…` templates of a source, inner ones first, with a NUL for each `${…}`.
 * @param {string} source
 */
function templates(source) {
  const all = /** @type {string[]} */ ([]);
  /** @type {{ text: string, html: boolean, depth: number }[]} */
  const open = [];
  for (let i = 0; i < source.length; i += 1) {
    const inside = open.at(-1);
    const inTemplate = inside !== undefined && inside.depth === 0;
    const character = source[i];
    if (inTemplate && character === "\\") i += 1;
    else if (inTemplate && character === "`") {
      open.pop();
      if (inside.html) all.push(inside.text);
    } else if (inTemplate && source.startsWith("${", i)) {
      inside.depth = 1;
      inside.text += "\0";
      i += 1;
    } else if (inTemplate) inside.text += character;
    else if (character === "`") open.push({ text: "", html: source.slice(0, i).endsWith("html"), depth: 0 });
    else if (inside && character === "{") inside.depth += 1;
    else if (inside && character === "}") inside.depth -= 1;
    else if (source.startsWith("//", i) || source.startsWith("/*", i)) {
      const end = source[i + 1] === "/" ? "\n" : "*/";
      const at = source.indexOf(end, i + 2);
      i = at < 0 ? source.length : at + end.length - 1;
    } else if (character === "\"") {
      for (i += 1; i < source.length && source[i] !== "\""; i += 1) if (source[i] === "\\") i += 1;
    }
  }
  return all;
}
