// Clients that tell no address: offers without candidates, and those with names that only their own network could look up. The server
// sees where their checks come from, by UDP and by TCP.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPage, startBrowser } from "../support/browser.js";
import { installNetwork } from "../support/network.js";
import { startServer } from "../support/server.js";

/** Which of the server's candidates a client is told of. */
const WAYS = { udp: "udp [0-9]+ 127.0.0.1 ", tcp: "tcp [0-9]+ 127.0.0.1 " };
const PICTURES = 30;

/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;
before(async () => {
  server = await startServer('webrtc.addresses = ["127.0.0.1"]\npublish.stream_key = "secret"\n');
  browser = await startBrowser({ camera: false });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/**
 * Publishes and plays; what both offered, and by what protocol they reach the server.
 * @param {string} path @param {string} way @param {"none" | "all"} candidates
 * @returns {Promise<{ offered: string[], used: string }[]>}
 */
async function shown(path, way, candidates) {
  const { page, context } = await openPage(browser);
  await page.goto(server.url);
  await installNetwork(page);
  const words = /** @type {const} */ ([path, way, candidates]);
  await page.evaluate(([path, way, candidates]) => /** @type {any} */ (window).network.publish(path, way, false, candidates), words);
  await server.live(path);
  await page.evaluate(([path, way, candidates]) => /** @type {any} */ (window).network.play(path, way, candidates), words);
  await page.waitForFunction((count) => /** @type {any} */ (window).network.shown(0).length >= count, PICTURES, { timeout: 20_000 })
    .catch(() => assert.fail(`no pictures:\n${server.output()}`));
  const ways = await page.evaluate(() => /** @type {any} */ (window).network.ways());
  await context.close();
  return ways;
}

for (const [protocol, way] of Object.entries(WAYS)) {
  test(`offers without candidates connect by ${protocol}`, async () => {
    for (const { offered, used } of await shown(`live/none-${protocol}`, way, "none")) {
      assert.deepEqual(offered, []);
      assert.equal(used, protocol);
    }
  });

  test(`offers with names in .local only connect by ${protocol}`, async () => {
    for (const { offered, used } of await shown(`live/local-${protocol}`, way, "all")) {
      assert.ok(offered.length > 0 && offered.every((line) => / [0-9a-f-]{36}\.local /.test(line)), `${offered}`);
      assert.equal(used, protocol);
    }
  });
}
