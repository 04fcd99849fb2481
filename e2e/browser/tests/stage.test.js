// Co-hosts: three browsers on one stage, its audience, and a match between two broadcasts.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { PHONE, openPage, screenshot, startBrowser, untilPlaying, violations } from "../support/browser.js";
import { publish } from "../support/publisher.js";
import { startServer } from "../support/server.js";

/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;
before(async () => {
  server = await startServer('publish.stream_key = "secret"\n');
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const TIMEOUT = 40_000;

/** @param {string} method @param {string} target @param {unknown} [body] */
async function admin(method, target, body) {
  const options = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(`${server.admin}/v1${target}`, { method, ...options });
  assert.ok(answer.ok, `${method} ${target}: ${answer.status} ${await answer.clone().text()}`);
  return answer.status === 204 ? null : answer.json();
}

/** @param {string} stage @param {string} name */
async function invite(stage, name) {
  return admin("POST", `/stages/${encodeURIComponent(stage)}/members`, { name });
}

/** Goes on a stage by an invitation. @param {string} stage @param {string} name @param {import("playwright-core").BrowserContextOptions} [options] */
async function member(stage, name, options = {}) {
  const { page: link } = await invite(stage, name);
  const opened = await openPage(browser, options);
  await opened.page.goto(server.url + link);
  await come(opened.page);
  return { name, ...opened };
}

/** @param {import("playwright-core").Page} page */
async function come(page) {
  await page.selectOption("[name=source]", "camera");
  await page.click("[data-action=come]");
  await page.waitForSelector("[data-phase=here]", { timeout: TIMEOUT });
}

/** Pictures of `name` that were decoded. @param {import("playwright-core").Page} page @param {string} name @returns {Promise<number>} */
function frames(page, name) {
  return page.evaluate((who) => {
    const video = /** @type {HTMLVideoElement | null} */ (document.querySelector(`[data-tile="${who}"] video`));
    return video?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
  }, name);
}

/**
 * Waits until pictures of `name` are decoded, and more of them.
 * @param {import("playwright-core").Page} page @param {string} name
 */
async function sees(page, name) {
  await page.waitForSelector(`[data-tile="${name}"][data-tile-phase=playing]`, { timeout: TIMEOUT });
  // A new connection counts from zero again, so what is there now says nothing about how many are to come.
  for (let come = 0, last = await frames(page, name), tries = 0; come <= 15; tries += 1) {
    assert.ok(tries < TIMEOUT / 100, `${name} is not seen: ${come} pictures`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = await frames(page, name);
    come += Math.max(0, now - last);
    last = now;
  }
}

/** A sample is heard from here on. */
const HEARD = 0.01;

/**
 * The loudest sample of `name`'s sound within some seconds, or the first that is loud enough; a fake microphone beeps once a second.
 * @param {import("playwright-core").Page} page @param {string} name @param {number} enough
 */
function loudness(page, name, enough = Infinity, ms = 3000) {
  return page.evaluate(async ([who, enough, length]) => {
    const video = /** @type {HTMLVideoElement} */ (document.querySelector(`[data-tile="${who}"] video`));
    const sound = new AudioContext();
    const analyser = sound.createAnalyser();
    sound.createMediaStreamSource(/** @type {MediaStream} */ (video.srcObject)).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let loudest = 0;
    for (const end = performance.now() + Number(length); performance.now() < end && loudest <= Number(enough);) {
      analyser.getFloatTimeDomainData(samples);
      loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), loudest);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await sound.close();
    return loudest;
  }, [name, enough, ms]);
}

/** @param {import("playwright-core").Page} page @param {string} name */
async function hears(page, name) {
  const loudest = await loudness(page, name, HEARD);
  assert.ok(loudest > HEARD, `${name} is not heard: ${loudest}`);
  const muted = await page.evaluate((who) => /** @type {HTMLVideoElement} */ (document.querySelector(`[data-tile="${who}"] video`)).muted, name);
  assert.equal(muted, false, `${name}'s element is muted`);
}

test("three on a stage see and hear each other, one leaves and comes back, and the audience sees all", async () => {
  await admin("POST", "/stages", { path: "live/talk", title: "Evening talk" });
  const all = [];
  for (const name of ["alice", "bob", "carol"]) all.push(await member("live/talk", name));
  for (const one of all) {
    for (const other of all.filter(({ name }) => name !== one.name)) {
      await sees(one.page, other.name);
      await hears(one.page, other.name);
    }
  }
  assert.equal(await all[0].page.textContent("h1"), "Evening talk");
  assert.deepEqual(await violations(all[0].page), []);
  await screenshot(all[0].page, "stage-member");

  // The audience has no pass and no seat.
  const audience = await openPage(browser);
  await audience.page.goto(`${server.url}/stage?path=live/talk`);
  for (const { name } of all) await sees(audience.page, name);
  await audience.page.click("[data-action=sound]");
  for (const { name } of all) await hears(audience.page, name);
  assert.equal(await audience.page.$("[data-action=come]"), null, "the audience may go on the stage");

  // Bob leaves: nobody shows him any more. He comes back with his pass, as the same member.
  const bob = all[1].page;
  await bob.click("[data-action=leave]");
  for (const { page } of [all[0], all[2], audience]) await page.waitForSelector('[data-tile="bob"]', { state: "detached", timeout: TIMEOUT });
  await bob.waitForSelector("[data-phase=known]");
  await come(bob);
  for (const { page } of [all[0], all[2], audience]) await sees(page, "bob");
  for (const name of ["alice", "carol"]) await sees(bob, name);
  await hears(all[0].page, "bob");

  // A page that is loaded anew goes on, too.
  const carol = all[2].page;
  await carol.reload();
  await carol.waitForSelector("[data-phase=known]");
  await come(carol);
  await sees(all[0].page, "carol");

  // Who is muted by the API is heard by nobody and is told so; who is removed is told so, too.
  await admin("PATCH", "/stages/live%2Ftalk/members/alice", { audio_muted: true });
  await all[0].page.getByRole("status").filter({ hasText: "Your sound was turned off" }).waitFor();
  await bob.waitForSelector('[data-tile="alice"][data-audio-muted=true]');
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const loudest = await loudness(bob, "alice");
  assert.ok(loudest < 0.001, `alice is heard while muted: ${loudest}`);

  // Without pictures the sound goes on, also for who comes now; the pictures come back.
  await admin("PATCH", "/stages/live%2Ftalk/members/bob", { video_muted: true });
  await bob.getByRole("status").filter({ hasText: "Your picture was turned off" }).waitFor();
  await all[0].page.waitForSelector('[data-tile="bob"][data-video-muted=true][data-tile-phase=playing]', { timeout: TIMEOUT });
  await hears(all[0].page, "bob");
  await audience.page.reload();
  await audience.page.waitForSelector('[data-tile="bob"][data-video-muted=true][data-tile-phase=playing]', { timeout: TIMEOUT });
  await audience.page.click("[data-action=sound]");
  await hears(audience.page, "bob");
  assert.equal(await frames(audience.page, "bob"), 0, "a picture from before is shown");
  await admin("PATCH", "/stages/live%2Ftalk/members/bob", { video_muted: false });
  for (const page of [all[0].page, audience.page]) {
    await page.waitForSelector('[data-tile="bob"][data-video-muted=false]');
    await sees(page, "bob");
  }

  await admin("PATCH", "/stages/live%2Ftalk", { layout: ["carol", "alice"] });
  await audience.page.waitForFunction(() => [...document.querySelectorAll("[data-tile]")].map((tile) => tile.getAttribute("data-tile")).join() === "carol,alice");
  await admin("DELETE", "/stages/live%2Ftalk/members/carol");
  await carol.waitForSelector("[data-phase=gone]", { timeout: TIMEOUT });
  await carol.getByRole("status").filter({ hasText: "good for nobody any more" }).waitFor();
  await all[0].page.waitForSelector('[data-tile="carol"]', { state: "detached" });

  // Leaving ends connections on the server; when the page ends them too, it is told that they are over.
  const known = /404 \(Not Found\) \S+\/wh[ie]p\/[0-9a-f]+$/;
  for (const { complaints, name } of all.slice(0, 2)) assert.deepEqual(complaints.filter((one) => !known.test(one)), [], name);
  for (const { context } of [...all, audience]) await context.close();
  await admin("DELETE", "/stages/live%2Ftalk");
});

test("an invitation that was used is refused in the server's words", async () => {
  await admin("POST", "/stages", { path: "live/once" });
  const { page: link } = await invite("live/once", "alice");
  const first = await openPage(browser);
  await first.page.goto(server.url + link);
  await come(first.page);
  assert.ok(!first.page.url().includes("invitation"), "the invitation stays in the address");
  const second = await openPage(browser);
  await second.page.goto(server.url + link);
  await second.page.click("[data-action=come]");
  await second.page.getByRole("status").filter({ hasText: "the invitation was used" }).waitFor();
  await first.context.close();
  await second.context.close();
  await admin("DELETE", "/stages/live%2Fonce");
});

test("a match shows the other broadcast beside the one that is watched, and it ends with the match", async () => {
  const publishers = ["a", "b"].map((name) => publish(server, `${name}?key=secret`, { encoder: ["-preset", "ultrafast", "-bf", "0"] }));
  const pages = [];
  try {
    for (const name of ["a", "b"]) {
      const opened = await openPage(browser);
      pages.push(opened);
      await opened.page.goto(`${server.url}/?path=live/${name}&via=webrtc`);
      await untilPlaying(opened.page);
    }
    const { id } = await admin("POST", "/matches", { between: ["live/a", "live/b"], length_s: 600 });
    for (const [at, other] of [[0, "live/b"], [1, "live/a"]]) {
      const { page } = pages[Number(at)];
      await page.waitForSelector(`[data-opposite="${other}"][data-opposite-phase=playing]`, { timeout: TIMEOUT });
      await page.waitForFunction((path) => {
        const video = /** @type {HTMLVideoElement | null} */ (document.querySelector(`[data-opposite="${path}"] video`));
        return (video?.getVideoPlaybackQuality().totalVideoFrames ?? 0) > 15;
      }, other, { timeout: TIMEOUT });
    }
    assert.deepEqual(await violations(pages[0].page), []);
    await screenshot(pages[0].page, "match");
    await admin("DELETE", `/matches/${id}`);
    for (const { page } of pages) await page.waitForSelector("[data-opposite]", { state: "detached", timeout: TIMEOUT });
  } finally {
    for (const { context } of pages) await context.close();
    for (const publisher of publishers) await publisher.vanish();
  }
});

test("members of a stage that is in a match see the other side until it ends by itself", async () => {
  await admin("POST", "/stages", { path: "live/duo" });
  const publisher = publish(server, "rival?key=secret", { encoder: ["-preset", "ultrafast", "-bf", "0"] });
  const { page, context } = await member("live/duo", "alice");
  try {
    await admin("POST", "/matches", { between: ["live/duo", "live/rival"], length_s: 15 });
    await sees(page, "live/rival");
    await page.waitForSelector("[data-match]", { state: "detached", timeout: TIMEOUT });
  } finally {
    await context.close();
    await publisher.vanish();
    await admin("DELETE", "/stages/live%2Fduo");
  }
});

test("the page is accessible and fits a phone, in both languages", async () => {
  await admin("POST", "/stages", { path: "live/phone", title: "Phone" });
  const { page, context, complaints } = await member("live/phone", "alice", PHONE);
  await page.waitForSelector("[data-own=alice]");
  assert.deepEqual(await violations(page), []);
  await page.selectOption("[data-action=language]", "zh-CN");
  await page.getByRole("button", { name: "下麦" }).waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  assert.ok(!wide, "it is wider than the screen");
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "stage-phone");
  assert.deepEqual(complaints, []);
  await context.close();
  await admin("DELETE", "/stages/live%2Fphone");
});
