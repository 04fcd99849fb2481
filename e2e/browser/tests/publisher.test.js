// A publisher that vanishes, returns, and ends, as a viewer sees it. Published by ffmpeg.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPage, pass, reading, startBrowser, untilPlaying } from "../support/browser.js";
import { publish } from "../support/publisher.js";
import { startDemo } from "../support/server.js";

/** @type {Awaited<ReturnType<typeof startDemo>>} */
let server;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;
before(async () => {
  server = await startDemo({ clip: false });
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

for (const via of ["hls", "flv", "ws"]) {
  test(`a publisher that returns in time is followed, one that stays away is waited for (${via})`, async () => {
    const name = `show-${via}`;
    let publisher = publish(server, name);
    const { page, context } = await openPage(browser);
    const status = (/** @type {string} */ text) => page.getByRole("status").filter({ hasText: text });
    const moving = async () => {
      await untilPlaying(page);
      const { currentTime } = await reading(page);
      await page.waitForFunction((then) => (document.querySelector("video")?.currentTime ?? 0) > then + 2, currentTime);
    };
    try {
      // The viewer is early: the page waits and starts by itself.
      await page.goto(`${server.url}/?path=live/${name}&via=${via}`);
      await moving();

      await publisher.vanish();
      await status("Waiting for data").waitFor();
      publisher = publish(server, name);
      await moving();
      const returned = await reading(page);
      assert.ok(returned.currentTime > 4, `the same connection goes on: ${returned.currentTime} s`);
      assert.ok((returned.rebuffers ?? 0) >= 1, "the gap is counted");

      await publisher.vanish();
      await status("The publisher sends nothing").waitFor();
      await status("Playback starts by itself").waitFor({ timeout: 25_000 });
      // Nothing of the finished broadcast is played again.
      for (let looks = 0; looks < 20; looks += 1) {
        await pass(200);
        assert.notEqual((await reading(page)).phase, "playing");
      }
      publisher = publish(server, name);
      await moving();
      const { latency } = await reading(page);
      assert.ok(latency !== null && latency <= (via === "hls" ? 3 : 1.5), `${latency} s behind`);
    } finally {
      await context.close();
      await publisher.vanish();
    }
  });
}
