// The player page and what opens a broadcast: a token in its URL, and a server that has no room.

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { openPage, startBrowser, untilPlaying } from "../support/browser.js";
import { publish } from "../support/publisher.js";
import { startServer } from "../support/server.js";

const SECRET = randomBytes(32).toString("hex");
/** A page that is told to come later comes this much later at most: pauses are longer at random. */
const LATER_MS = { min: 3000, max: 5500 };

/** @type {import("../support/server.js").Server} */
let server;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;
/** @type {ReturnType<typeof publish>[]} */
let publishers;
before(async () => {
  server = await startServer(`
publish.stream_key = "secret"
[app.live]
[app.closed]
play = "credential"
[[auth.jwt]]
secret = "${SECRET}"
`);
  browser = await startBrowser();
  const encoder = ["-preset", "ultrafast", "-bf", "0"];
  publishers = ["live", "closed"].map((app) => publish(server, "x?key=secret", { app, encoder }));
});
after(async () => {
  await browser?.close();
  for (const publisher of publishers ?? []) await publisher.vanish();
  await server?.stop();
});

/** Good for playing `closed/x` for a minute. */
function token() {
  const part = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { act: "play", path: "closed/x", exp: Math.floor(Date.now() / 1000) + 60 };
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

test("a token in the page's URL opens every way of watching, and stays when another is chosen", async () => {
  const { page, context } = await openPage(browser);
  const shown = token();
  await page.goto(`${server.url}/?path=closed/x&via=hls`);
  await page.waitForSelector("[data-trouble=refused]", { timeout: 20_000 });
  await page.goto(`${server.url}/?path=closed/x&via=hls&token=${shown}`);
  await untilPlaying(page);
  for (const [via, asks] of Object.entries({ webrtc: /x\/whep/, flv: /^http.*x\.flv/, ws: /^ws.*x\.flv/ })) {
    const asked = via === "ws" ? page.waitForEvent("websocket", (socket) => asks.test(socket.url())) : page.waitForRequest(asks);
    await page.check(`input[value=${via}]`);
    await asked;
    await untilPlaying(page);
    assert.equal(new URL(page.url()).searchParams.get("token"), shown, via);
  }
  assert.doesNotMatch(await page.textContent(".facts") ?? "", /Not live/, "what is in no list may be live");
  await context.close();
});

for (const [via, pattern] of [["webrtc", "**/live/x/whep"], ["flv", "**/live/x.flv"]]) {
  test(`a server that has no room is asked again when it wants to be, by ${via}`, async () => {
    const { page, context } = await openPage(browser);
    const asked = /** @type {number[]} */ ([]);
    await page.route(pattern, async (route) => {
      asked.push(Date.now());
      if (asked.length > 1) await route.continue();
      else await route.fulfill({ status: 503, headers: { "Retry-After": "3" }, body: "no room" });
    });
    await page.goto(`${server.url}/?path=live/x&via=${via}`);
    await page.getByRole("status").filter({ hasText: "no room right now" }).waitFor();
    await untilPlaying(page);
    const pause = asked[1] - asked[0];
    assert.ok(pause >= LATER_MS.min && pause < LATER_MS.max, `${pause} ms`);
    await context.close();
  });
}
