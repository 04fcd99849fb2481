/**
 * Chromium, and pages that remember every complaint.
 * @module
 */

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const SCREENSHOTS = process.env.SCREENSHOTS ?? fileURLToPath(new URL("../out", import.meta.url));

export const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/**
 * @param {{ autoplay?: boolean, camera?: boolean }} options `autoplay: false` lets the browser refuse to start by itself; without a camera
 *   and its permission a page hides its addresses from others
 */
export function startBrowser({ autoplay = true, camera = true } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
      // A camera and a microphone that are there everywhere, and nobody to ask for them.
      ...(camera ? ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"] : []),
      `--autoplay-policy=${autoplay ? "no-user-gesture-required" : "user-gesture-required"}`,
    ],
  });
}

/**
 * A page in a context of its own.
 * @param {import("playwright-core").Browser} browser
 * @param {import("playwright-core").BrowserContextOptions} options
 */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const complaints = /** @type {string[]} */ ([]);
  page.on("pageerror", (error) => complaints.push(`page error: ${error.stack ?? error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) {
      complaints.push(`console: ${message.text()} ${message.location().url}`);
    }
  });
  return { page, context, complaints };
}

/** What the page shows and the video element knows. @param {import("playwright-core").Page} page */
export function reading(page) {
  return page.evaluate(() => {
    const video = document.querySelector("video");
    const figure = (/** @type {string} */ name) => {
      const shown = document.querySelector(`[data-figure="${name}"]`)?.getAttribute("data-value");
      return shown ? Number(shown) : null;
    };
    return {
      currentTime: video?.currentTime ?? 0,
      frames: video?.getVideoPlaybackQuality().totalVideoFrames ?? 0,
      phase: document.querySelector("[data-phase]")?.getAttribute("data-phase"),
      latency: figure("latency"),
      bitrate: figure("bitrate"),
      dropped: figure("dropped"),
      rebuffers: figure("rebuffers"),
      rebuffer_s: Number(document.querySelector('[data-figure="rebuffers"]')?.getAttribute("data-seconds")),
      rate: figure("rate"),
    };
  });
}

/**
 * Waits until the picture moves.
 * @param {import("playwright-core").Page} page
 */
export async function untilPlaying(page) {
  await page.waitForFunction(() => (document.querySelector("video")?.currentTime ?? 0) > 0 &&
    document.querySelector("[data-phase=playing]"), undefined, { timeout: 15_000 });
}

/**
 * The whole page, what has to be scrolled to included.
 * @param {import("playwright-core").Page} page
 * @param {string} name
 */
export async function screenshot(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: true });
}

/** What axe-core calls serious or critical. @param {import("playwright-core").Page} page */
export async function violations(page) {
  // The page allows no scripts from elsewhere, so this one comes by the debugging protocol.
  await page.evaluate(readFileSync(AXE, "utf8"));
  const { violations: found } = await page.evaluate(() => /** @type {any} */ (window).axe.run());
  return found
    .filter((/** @type {{ impact: string }} */ violation) => ["serious", "critical"].includes(violation.impact))
    .map((/** @type {any} */ violation) => `${violation.id}: ${violation.nodes.map((/** @type {any} */ node) => node.html)}`);
}

/** @param {number} ms */
export const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
