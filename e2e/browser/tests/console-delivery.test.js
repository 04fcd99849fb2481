// The console: what viewers get of a broadcast, its qualities, and how the way to somebody is.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { PHONE, openPage, screenshot, violations } from "../support/browser.js";
import { login, stage, unexpected } from "../support/console.js";
import { installNetwork } from "../support/network.js";
import { publish } from "../support/publisher.js";
import { startDemo } from "../support/server.js";

const on = stage();
const REORDERED = ["-preset", "veryfast", "-x264-params", "bframes=3:b-adapt=0:b-pyramid=strict"];

/** A broadcast's page. @param {import("playwright-core").Page} page @param {string} path */
const open = (page, path) => page.goto(`${on.server.admin}/console?view=broadcast&path=${path}`);

test("what viewers by WebRTC get of B-frames is said, with the policy and the reason, and what sound is converted to", async () => {
  const publishers = [
    publish(on.server, "reordered?key=secret", { encoder: REORDERED }),
    publish(on.server, "plain?key=secret", { encoder: ["-preset", "ultrafast", "-bf", "0"] }),
  ];
  const { page, context, complaints } = await openPage(on.browser);
  const viewer = await openPage(on.browser);
  try {
    await login(on, page, "viewer");
    await open(page, "live/reordered");
    await page.locator("[data-b-frames=refused]").waitFor({ timeout: 20_000 });
    const delivery = page.getByRole("region", { name: "What viewers get" });
    assert.match(await delivery.innerText(), /drop[^]*other pictures build on B-frames/);
    for (const colorScheme of /** @type {("light" | "dark")[]} */ (["light", "dark"])) {
      await page.emulateMedia({ colorScheme });
      assert.deepEqual(await violations(page), [], colorScheme);
      await delivery.scrollIntoViewIfNeeded();
      await screenshot(page, `console-delivery-${colorScheme}`);
    }
    await viewer.page.goto(`${on.server.url}/?path=live/plain&via=webrtc`);
    await open(page, "live/plain");
    await page.locator("[data-b-frames=none]").waitFor({ timeout: 20_000 });
    await page.getByText("Converted to").waitFor();
    await delivery.filter({ hasText: /Converted to\s*Opus/ }).waitFor({ timeout: 20_000 });
    await page.getByRole("row", { name: /WHEP.*Opus/ }).waitFor();
    assert.deepEqual(unexpected(complaints), []);
  } finally {
    await viewer.context.close();
    await context.close();
    for (const publisher of publishers) await publisher.vanish();
  }
});

test("the qualities of a browser that publishes several are listed with size and bitrate, on a phone too", async () => {
  const demo = await startDemo({ clip: false });
  const sender = await openPage(on.browser);
  const { page, context } = await openPage(on.browser, PHONE);
  try {
    await sender.page.goto(demo.url);
    await installNetwork(sender.page);
    await sender.page.evaluate(() => /** @type {any} */ (window).network.publish("live/several", ".", true));
    await page.goto(`${demo.admin}/console?view=broadcast&path=live/several`);
    const qualities = page.getByRole("table", { name: "Qualities" });
    await qualities.getByRole("row", { name: /\bh\b.*480×272.*bit\/s/ }).waitFor({ timeout: 30_000 });
    await qualities.getByRole("row", { name: /\bl\b.*240×136.*bit\/s/ }).waitFor();
    await qualities.getByRole("row", { name: /all protocols/ }).waitFor();
    await qualities.scrollIntoViewIfNeeded();
    await screenshot(page, "console-delivery-phone");
    assert.deepEqual(await violations(page), []);
  } finally {
    await sender.context.close();
    await context.close();
    await demo.stop();
  }
});

test("how the way to a publisher by SRT is stands beside it", async () => {
  const words = "-v error -re -f lavfi -i testsrc2=s=320x180:r=25 -c:v libx264 -preset ultrafast -g 50 -f mpegts";
  const target = `srt://127.0.0.1:${on.server.ports.srt}?streamid=live/far?key=secret`;
  const sender = spawn("ffmpeg", [...words.split(" "), target], { stdio: "ignore" });
  const { page, context } = await openPage(on.browser);
  try {
    await login(on, page, "viewer");
    await open(page, "live/far");
    const facts = page.getByLabel("Publisher").filter({ hasText: "Round trip" });
    await facts.waitFor({ timeout: 20_000 });
    assert.match(await facts.innerText(), /Round trip\s*[\d.]+ ms[^]*Missed at first\s*0 of [\d,]+ packets[^]*Encrypted\s*no/);
  } finally {
    await context.close();
    const exited = once(sender, "exit");
    sender.kill("SIGKILL");
    await exited;
  }
});
