/**
 * The console's servers, who logs in to them, and what its pages have in common.
 * @module
 */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { get } from "node:http";
import { after, before } from "node:test";
import { startBrowser } from "./browser.js";
import { publish } from "./publisher.js";
import { startDemo, startServer } from "./server.js";

const secret = () => randomBytes(24).toString("hex");

export const TOKENS = { viewer: secret(), operator: secret(), admin: secret() };

/** Closed to strangers; `live` plays to everybody, `closed` to whoever has a token or a signed URL. */
export const CONFIG = `
publish.stream_key = "secret"
${Object.entries(TOKENS).map(([role, token]) => `[[admin.token]]\nname = "${role}-1"\nrole = "${role}"\ntoken = "${token}"\n`).join("")}
[app.live]
[app.closed]
play = "credential"
[[auth.url]]
kid = "browser"
secret = "${randomBytes(32).toString("hex")}"
[[auth.jwt]]
secret = "${randomBytes(32).toString("hex")}"
`;

/**
 * @typedef {object} Stage
 * @property {Awaited<ReturnType<typeof startServer>>} server closed to strangers
 * @property {Awaited<ReturnType<typeof startDemo>>} demo the built-in broadcast, no login
 * @property {Awaited<ReturnType<typeof startBrowser>>} browser
 * @property {ReturnType<typeof publish>} bad publishes `live/bad` to `server`, with keyframes ten seconds apart
 */

/**
 * Starts what a file of tests needs before its first test, and stops it after the last.
 * @param {{ demo?: boolean, bad?: boolean }} options what is needed beside `server` and `browser`
 * @returns {Stage} filled in once the tests run
 */
export function stage({ demo = false, bad = false } = {}) {
  const made = /** @type {Stage} */ ({});
  before(async () => {
    if (demo) made.demo = await startDemo();
    made.server = await startServer(CONFIG);
    if (bad) made.bad = publish(made.server, "bad?key=secret", { keyframes: 250 });
    made.browser = await startBrowser();
  });
  after(async () => {
    await made.browser?.close();
    await made.bad?.vanish();
    await made.server?.stop();
    await made.demo?.stop();
  });
  return made;
}

/**
 * @param {Stage} on
 * @param {import("playwright-core").Page} page
 * @param {keyof typeof TOKENS} role
 * @param {string} place
 */
export async function login({ server }, page, role, place = "/console") {
  await page.goto(server.admin + place);
  await page.getByLabel("Administrator's token").fill(TOKENS[role]);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("button", { name: "Log out" }).waitFor();
}

/**
 * What pages complained about, without what the browser itself says about refused requests.
 * @param {string[]} complaints @param {number[]} statuses that were to be expected; 401 always is
 */
export const unexpected = (complaints, ...statuses) =>
  complaints.filter((line) => ![401, ...statuses].some((status) => line.includes(`the server responded with a status of ${status}`)));

/**
 * A viewer over HTTP-FLV who shows nothing.
 * @param {string} url
 */
export async function watch(url) {
  const request = get(url, { agent: false });
  const [response] = /** @type {[import("node:http").IncomingMessage]} */ (await once(request, "response"));
  const closed = new Promise((resolve) => response.on("close", resolve));
  // A connection that breaks is an end like others.
  for (const half of [request, response]) half.on("error", () => {});
  response.resume();
  return {
    status: response.statusCode,
    /** As the server sees it. */
    address: `127.0.0.1:${response.socket.localPort}`,
    /** More media comes. */
    async plays() {
      assert.ok(!response.destroyed, "it has ended");
      await Promise.race([once(response, "data"), closed.then(() => assert.fail("it ended"))]);
    },
    /** The server ends it. */
    async ended() {
      await closed;
    },
    async leave() {
      request.destroy();
      await closed;
    },
  };
}

/** Until a view has what it shows. @param {import("playwright-core").Page} page */
export async function settled(page) {
  await page.locator("[data-view] h1").waitFor();
  await page.locator({
    broadcasts: "[data-broadcast] [data-health]", broadcast: ".facts-list", node: "meter", activity: "[data-line]",
    keys: "[data-making=key]", config: ".config",
  }[await page.locator("[data-view]").getAttribute("data-view") ?? ""] ?? "h1").first().waitFor({ state: "attached" });
}

/** @param {import("playwright-core").Page} page @param {string} selector */
export async function tabTo(page, selector) {
  for (let presses = 0; presses < 30; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
  }
  assert.fail(`thirty tabs don't reach ${selector}`);
}
