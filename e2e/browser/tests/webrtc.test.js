// WHIP and WHEP in Chromium: how old a picture is when it is shown, every codec, what RTMP publishes, refusals.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { openPage, startBrowser } from "../support/browser.js";
import { startDemo, startServer } from "../support/server.js";
import { installPeers } from "../support/webrtc.js";

const WATCH_MS = 5000;
/** The first pictures come out of the cache, so they are old. */
const SETTLE_FRAMES = 45;
/** Sound and pictures are so near to each other, once the browser has brought them together, which it does a few milliseconds at a time. */
const APART_MS_MAX = 40;
const TOGETHER_WITHIN_MS = 20_000;

/** @type {import("../support/server.js").Server} */
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

/** A page that publishes and plays. */
async function peers() {
  const { page, context } = await openPage(browser);
  await page.goto(server.url);
  await installPeers(page);
  return { page, context };
}

/** What is seen within so long, unless it is refused. @param {import("playwright-core").Page} page @param {string} path @param {number} ms */
const play = (page, path, ms = WATCH_MS) =>
  page.evaluate(async ([path, ms]) => {
    const viewer = await /** @type {any} */ (window).whep(path);
    Object.assign(window, { viewer });
    if (viewer.status === 201) await new Promise((resolve) => setTimeout(resolve, Number(ms)));
    return { ...viewer, ...(viewer.status === 201 ? await viewer.figures() : {}), figures: undefined, captured: undefined };
  }, [path, ms]);

/**
 * How much later the viewer of `play` hears sound than its pictures are shown, once that is little: the median of two seconds.
 * @param {import("playwright-core").Page} page
 */
async function soundLate(page) {
  const looks = /** @type {number[]} */ ([]);
  for (let waited = 0; waited < TOGETHER_WITHIN_MS; waited += 200) {
    looks.push(await page.evaluate(async () => (await /** @type {any} */ (window).viewer.figures()).sound_late_ms));
    const median = looks.slice(-10).toSorted((a, b) => a - b)[5];
    if (Math.abs(median) <= APART_MS_MAX) return median;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`sound stays later than pictures by ${looks.slice(-10)} ms`);
}

/** @param {string} path */
async function live(path) {
  for (let tries = 0; tries < 100; tries += 1) {
    const { broadcasts } = await (await fetch(`${server.url}/api/broadcasts`)).json();
    if (broadcasts.some((/** @type {{ path: string }} */ one) => one.path === path)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${path} is not live:\n${server.output()}`);
}

for (const codec of ["H264", "VP8", "VP9", "AV1"]) {
  test(`a browser's ${codec} is shown in another browser in real time, with sound`, async () => {
    const { page, context } = await peers();
    const path = `live/camera-${codec.toLowerCase()}`;
    const published = await page.evaluate(([path, codec]) => /** @type {any} */ (window).whip(path, { codec }), [path, codec]);
    assert.equal(published.status, 201, published.text);
    await live(path);
    const seen = await play(page, path);
    assert.equal(seen.status, 201, seen.text);
    const ages = seen.ages.slice(SETTLE_FRAMES).sort((/** @type {number} */ a, /** @type {number} */ b) => a - b);
    const [p50, p95] = [0.5, 0.95].map((share) => ages[Math.floor(ages.length * share)]);
    console.log(`${codec}: first picture after ${Math.round(seen.first_ms)} ms, age P50 ${p50} ms, P95 ${p95} ms, ${seen.frames} frames`);
    assert.ok(ages.length > 30, `${seen.frames} pictures, ${seen.sounds} sounds`);
    assert.ok(p95 < 250, `95 of 100 pictures were at most ${p95} ms old`);
    assert.ok(seen.sounds > 100, `${seen.sounds} packets of sound`);
    if (codec === "H264") console.log(`sound later by ${await soundLate(page)} ms`);
    await context.close();
  });
}

/** Publishes by RTMP with ffmpeg. @param {string} name @param {string[]} options @param {string} sound */
function publish(name, options, sound = "-an") {
  const words = `-v error -re -f lavfi -i testsrc2=size=640x360:rate=30 ${sound} -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 60`;
  const target = `rtmp://127.0.0.1:${server.ports.rtmp}/live/${name}`;
  const child = spawn("ffmpeg", [...words.split(" "), ...options, "-f", "flv", target], { stdio: "ignore" });
  return async () => {
    child.kill();
    if (child.exitCode === null) await once(child, "exit");
  };
}

test("what comes by RTMP is shown at once and heard, without waiting for the next keyframe", async () => {
  const stop = publish("rtmp", ["-bf", "0"], "-f lavfi -i sine -c:a aac");
  await live("live/rtmp");
  const { page, context } = await peers();
  const seen = await play(page, "live/rtmp");
  console.log(`from RTMP: first picture after ${Math.round(seen.first_ms)} ms, sound later by ${await soundLate(page)} ms`);
  await stop();
  assert.equal(seen.status, 201, seen.text);
  assert.ok(seen.first_ms < 1500, `the first picture came after ${seen.first_ms} ms`);
  assert.ok(seen.frames > 100, `${seen.frames} pictures`);
  assert.equal(seen.freezes, 0);
  assert.ok(seen.sounds > 150, `${seen.sounds} packets of sound`);
  await context.close();
});

test("B-frames that nothing builds on are left out, others are refused with what to do", async () => {
  const stop = publish("plain", ["-bf", "2", "-b_strategy", "0", "-x264-params", "b-pyramid=none"]);
  const stopOther = publish("pyramid", ["-bf", "3", "-b_strategy", "0", "-x264-params", "b-pyramid=normal:ref=3"]);
  await live("live/plain");
  await live("live/pyramid");
  const { page, context } = await peers();
  const plain = await play(page, "live/plain");
  const pyramid = await play(page, "live/pyramid");
  await Promise.all([stop(), stopOther()]);
  assert.ok(plain.frames > 30, `${plain.status} ${plain.text}: ${plain.frames} pictures`);
  assert.equal(plain.freezes, 0);
  assert.equal(pyramid.status, 406);
  assert.match(pyramid.text, /index\.m3u8/);
  await context.close();
});

test("B-frames that others build on are shown, coded anew, with sound", async () => {
  const demo = server;
  server = await startServer('publish.stream_key = "secret"\nwebrtc.b_frames = "transcode"\n');
  const options = ["-preset", "veryfast", "-bf", "2", "-b_strategy", "0", "-x264-params", "b-pyramid=normal:ref=3"];
  const stop = publish("pyramid?key=secret", options, "-f lavfi -i sine -c:a aac");
  try {
    await live("live/pyramid");
    const { page, context } = await peers();
    const seen = await play(page, "live/pyramid");
    assert.equal(seen.status, 201, seen.text);
    console.log(`coded anew: first picture after ${Math.round(seen.first_ms)} ms, ${seen.frames} pictures, ${seen.sounds} packets of sound, sound later by ${await soundLate(page)} ms`);
    assert.ok(seen.frames > 90, `${seen.frames} pictures`);
    assert.ok(seen.sounds > 100, `${seen.sounds} packets of sound`);
    assert.ok(seen.freezes <= 1, `${seen.freezes} freezes`);
    await context.close();
  } finally {
    await stop();
    await server.stop();
    server = demo;
  }
});

test("a viewer is told when the camera took a picture, and by which clock", async () => {
  const { page, context } = await peers();
  const publisher = await page.evaluate((path) => /** @type {any} */ (window).whip(path, { captureTime: true }), "live/captured");
  assert.equal(publisher.status, 201, publisher.text);
  await live("live/captured");
  const told = await page.evaluate(async (ms) => {
    const viewer = await /** @type {any} */ (window).whep("live/captured", { captureTime: true });
    await new Promise((resolve) => setTimeout(resolve, ms));
    return { ...viewer.captured(), now: Date.now() };
  }, WATCH_MS);
  // Since 1900, as in NTP.
  const age = told.now - (told.captureTimestamp - 2_208_988_800_000);
  console.log(`the newest picture was taken ${age} ms ago; the camera's clock is ahead by ${told.senderCaptureTimeOffset} ms`);
  assert.ok(age > -50 && age < 1000, `${age} ms`);
  assert.ok(Math.abs(told.senderCaptureTimeOffset) < 50, `${told.senderCaptureTimeOffset} ms between clocks that are the same`);
  await context.close();
});

test("a viewer who leaves by DELETE is gone at once", async () => {
  const stop = publish("gone", ["-bf", "0"]);
  await live("live/gone");
  const { page, context } = await peers();
  const seen = await play(page, "live/gone", 0);
  const counted = async (/** @type {number} */ viewers) => {
    const { broadcasts } = await (await fetch(`${server.url}/api/broadcasts`)).json();
    return broadcasts.find((/** @type {{ path: string }} */ one) => one.path === "live/gone").viewers === viewers;
  };
  await page.waitForFunction(() => /** @type {any} */ (window).viewer.figures().then((/** @type {any} */ seen) => seen.frames > 10));
  assert.ok(await counted(1));
  assert.equal((await fetch(server.url + seen.connection, { method: "DELETE" })).status, 200);
  for (let tries = 0; !(await counted(0)); tries += 1) {
    assert.ok(tries < 50, "still counted");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal((await fetch(server.url + seen.connection, { method: "DELETE" })).status, 404);
  await stop();
  await context.close();
});
