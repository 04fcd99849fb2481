/**
 * Makes the pictures of the README: docs/player.png, docs/console.png and docs/console-phone.png. Names of pictures as
 * arguments make only those.
 * @module
 */

import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { PHONE, openPage, pass, startBrowser, untilPlaying } from "./support/browser.js";
import { publish } from "./support/publisher.js";
import { startDemo } from "./support/server.js";

/** @typedef {{ server: Awaited<ReturnType<typeof startDemo>>, browser: Awaited<ReturnType<typeof startBrowser>> }} Stage */

/** Until plots have a minute to show, and rare keyframes are seen. */
const MINUTE_MS = 62_000;

/** @type {Record<string, { bytes_max: number, take: (stage: Stage, file: string) => Promise<void> }>} */
const PICTURES = {
  player: { bytes_max: 400_000, take: player },
  console: { bytes_max: 200_000, take: (stage, file) => theConsole(stage, file, { viewport: { width: 1280, height: 860 } }, "?view=broadcast&path=live/stage") },
  "console-phone": { bytes_max: 200_000, take: (stage, file) => theConsole(stage, file, { ...PHONE, colorScheme: "dark" }, "") },
};

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PICTURES);
const server = await startDemo();
const publishers = [
  publish(server, "stage", { keyframes: 250 }), publish(server, "camera-2"), publish(server, "backstage"),
];
const watching = new AbortController();
const browser = await startBrowser();
try {
  if (wanted.some((name) => name.startsWith("console"))) {
    await pass(3000);
    for (const name of ["stage", "stage", "stage", "demo", "demo", "camera-2"]) drain(`${server.url}/live/${name}.flv`);
    await pass(MINUTE_MS);
  }
  for (const name of wanted) {
    const file = fileURLToPath(new URL(`../../docs/${name}.png`, import.meta.url));
    await PICTURES[name].take({ server, browser }, file);
    const { size } = statSync(file);
    console.log(`docs/${name}.png: ${size} bytes`);
    if (size > PICTURES[name].bytes_max) throw new Error(`more than ${PICTURES[name].bytes_max} bytes`);
  }
} finally {
  watching.abort();
  await browser.close();
  for (const publisher of publishers) await publisher.vanish();
  await server.stop();
}

/** A viewer who shows nothing. @param {string} url */
async function drain(url) {
  try {
    const answer = await fetch(url, { signal: watching.signal });
    for await (const _ of answer.body ?? []);
  } catch {
    // The pictures are taken.
  }
}

/** The page with the demo playing in it. @param {Stage} stage @param {string} file */
async function player(stage, file) {
  const { page, context } = await openPage(stage.browser);
  await page.goto(`${stage.server.url}/?path=live/demo&via=hls`);
  await untilPlaying(page);
  await page.waitForSelector('[data-figure="bitrate"]:not([data-value=""])');
  // Long enough that the speed is back to one.
  await page.waitForFunction(() => (document.querySelector("video")?.currentTime ?? 0) > 12);
  await page.screenshot({ path: file });
  await context.close();
}

/** @param {Stage} stage @param {string} file @param {import("playwright-core").BrowserContextOptions} options @param {string} query */
async function theConsole(stage, file, options, query) {
  const { page, context } = await openPage(stage.browser, options);
  await page.goto(`${stage.server.admin}/console${query}`);
  await page.locator(query === "" ? '[data-broadcast="live/stage"] [data-health=warning]' : "[data-advice=keyframes_rare]").waitFor();
  await pass(1000);
  await page.screenshot({ path: file });
  await context.close();
}
