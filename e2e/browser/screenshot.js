/**
 * Makes docs/player.png: the page with the demo playing in it.
 * @module
 */

import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openPage, startBrowser, untilPlaying } from "./support/browser.js";
import { startDemo } from "./support/server.js";

const PICTURE = fileURLToPath(new URL("../../docs/player.png", import.meta.url));
const BYTES_MAX = 400_000;

const server = await startDemo();
const browser = await startBrowser();
try {
  const { page } = await openPage(browser);
  await page.goto(`${server.url}/?path=live/demo&via=hls`);
  await untilPlaying(page);
  await page.waitForSelector('[data-figure="bitrate"]:not([data-value=""])');
  // Long enough that the speed is back to one.
  await page.waitForFunction(() => (document.querySelector("video")?.currentTime ?? 0) > 12);
  await page.screenshot({ path: PICTURE });
} finally {
  await browser.close();
  await server.stop();
}
const { size } = statSync(PICTURE);
console.log(`${PICTURE}: ${size} bytes`);
if (size > BYTES_MAX) throw new Error(`more than ${BYTES_MAX} bytes`);
