// WHIP and WHEP in Chromium over networks that are narrow, lossy, slow, without UDP, or another one suddenly.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPage, reading, startBrowser, untilPlaying } from "../support/browser.js";
import { installNetwork } from "../support/network.js";
import { publish } from "../support/publisher.js";
import { startRelay } from "../support/relay.js";
import { startServer } from "../support/server.js";

/** @typedef {import("../support/network.js").Shown} Shown */

// The server has two addresses in its answers; the relay sits at the second.
const [DIRECT, RELAYED, TCP] = ["udp [0-9]+ 127.0.0.1 ", "udp [0-9]+ 127.0.0.2 ", "tcp [0-9]+ 127.0.0.1 "];
const STAY_S = 6;
const CONFIG = `webrtc.addresses = ["127.0.0.1", "127.0.0.2"]\nwebrtc.rendition_stay = "${STAY_S}s"\npublish.stream_key = "secret"
[[webrtc.turn]]
url = "turn:127.0.0.1:9?transport=udp"
username = "user"
password = "pass"
`;
const FPS = 15;
const LONG = process.env.LONG === "1";
/** The promise is 250 ms; a machine that has other things to do besides, as one of CI, holds the browser up for as long again. */
const GAP_MS_MAX = LONG ? 250 : 500;

/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {Awaited<ReturnType<typeof startRelay>>} */
let relay;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;
before(async () => {
  server = await startServer(CONFIG);
  relay = await startRelay(`127.0.0.2:${server.ports.webrtc}`, `127.0.0.1:${server.ports.webrtc}`);
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await relay?.stop();
  await server?.stop();
});

const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * A page whose publisher is near the server and whose viewer is behind `way`, once pictures of `width` are shown.
 * @param {string} path
 * @param {{ simulcast?: boolean, way?: string, bits?: number[] }} options bits per second of the qualities, the lower one first
 */
async function playing(path, { simulcast = false, way = RELAYED, bits } = {}) {
  relay.impair({});
  const { page, context } = await openPage(browser);
  await page.goto(server.url);
  await installNetwork(page);
  await page.evaluate(([path, way, simulcast, bits]) => /** @type {any} */ (window).network.publish(path, way, simulcast, undefined, bits),
    /** @type {const} */ ([path, DIRECT, simulcast, bits]));
  await live(path);
  await page.evaluate(([path, way]) => /** @type {any} */ (window).network.play(path, way), [path, way]);
  const viewer = {
    page,
    now: () => page.evaluate(() => /** @type {any} */ (window).network.now()),
    /** @returns {Promise<Shown[]>} */
    shown: (/** @type {number} */ since) => page.evaluate((since) => /** @type {any} */ (window).network.shown(since), since),
    /** @returns {Promise<number>} */
    sent: () => page.evaluate(() => /** @type {any} */ (window).network.sent()),
    /** @returns {Promise<number>} */
    decoded: () => page.evaluate(() => /** @type {any} */ (window).network.decoded()),
    wayUsed: () => page.evaluate(() => /** @type {any} */ (window).network.wayUsed()),
    /** The first picture like this after `since`. @param {number} since @param {number} limit_ms @param {(one: Shown) => boolean} like */
    async first(since, limit_ms, like) {
      for (let waited = 0; waited < limit_ms; waited += 100) {
        const found = (await viewer.shown(since)).find(like);
        if (found) return found;
        await sleep(100);
      }
      const seen = (await viewer.shown(since)).slice(-5);
      throw new Error(`no such picture within ${limit_ms} ms; the last: ${JSON.stringify(seen)}\n${server.output()}`);
    },
    close: () => context.close(),
  };
  await viewer.first(0, 15_000, (one) => one.width === 480);
  // The first pictures come out of the cache.
  await sleep(2000);
  return viewer;
}

/** @param {string} path */
async function live(path) {
  for (let tries = 0; tries < 100; tries += 1) {
    const { broadcasts } = await (await fetch(`${server.url}/api/broadcasts`)).json();
    if (broadcasts.some((/** @type {{ path: string }} */ one) => one.path === path)) return;
    await sleep(100);
  }
  throw new Error(`${path} is not live:\n${server.output()}`);
}

/** The longest time without a new picture, ms. @param {Shown[]} shown */
const longestGap = (shown) => Math.max(...shown.slice(1).map((one, at) => one.at - shown[at].at));
/** @param {Shown[]} shown @param {number} share */
const age = (shown, share) => shown.map((one) => one.age).toSorted((a, b) => a - b)[Math.floor(shown.length * share)];

/**
 * Until the better quality has been shown for longer than a stay: one that is left sooner counts as one that the way doesn't carry, and
 * rests for two stays.
 * @param {Awaited<ReturnType<typeof playing>>} viewer
 */
async function steady(viewer) {
  const span_ms = (STAY_S + 1) * 1000;
  for (let began = await viewer.now(), tries = 0; ; tries += 1) {
    const now = await viewer.now();
    if (now - began > span_ms && (await viewer.shown(now - span_ms)).every((one) => one.width === 480)) return;
    assert.ok(tries < 200, "the better quality is not kept where there is room for it");
    await sleep(500);
  }
}

/** Until the best quality has as many bits a second: a browser begins with less than it may send. @param {string} path @param {number} bits */
async function carries(path, bits) {
  const rates = async () => {
    const { renditions } = await (await fetch(`${server.admin}/v1/broadcasts/${encodeURIComponent(path)}`)).json();
    return renditions.map((/** @type {{ kbit_s: number }} */ one) => one.kbit_s);
  };
  for (let tries = 0; Math.max(0, ...await rates()) * 1000 < bits; tries += 1) {
    assert.ok(tries < 60, `${await rates()} kbit/s`);
    await sleep(500);
  }
}

/**
 * A viewer whose network narrows and widens again: down in time and without a stall, up as soon as it may.
 * @param {string} path
 * @param {{
 *   bits?: number[], wide: import("../support/relay.js").Impairment, narrow: import("../support/relay.js").Impairment, up_s_max: number,
 * }} how
 */
async function narrows(path, { bits, wide, narrow, up_s_max }) {
  const viewer = await playing(path, { simulcast: true, bits });
  if (bits) await carries(path, 0.9 * bits[1]);
  relay.impair(wide);
  await steady(viewer);
  const narrowed = await viewer.now();
  relay.impair(narrow);
  const down = await viewer.first(narrowed, 20_000, (one) => one.width === 240);
  await sleep(STAY_S * 1000);
  const during = await viewer.shown(narrowed);
  relay.impair(wide);
  const widened = await viewer.now();
  const up = await viewer.first(widened, Math.max(30, up_s_max) * 1000, (one) => one.width === 480);
  const [down_s, up_s, gap] = [(down.at - narrowed) / 1000, (up.at - widened) / 1000, longestGap(during)];
  console.log(`down after ${down_s.toFixed(2)} s, up after ${up_s.toFixed(2)} s, longest gap ${gap.toFixed(0)} ms`);
  const widths = during.filter((one) => one.at > down.at).map((one) => one.width);
  assert.ok(widths.every((width) => width === 240), `it went up where there was no room: ${widths}`);
  assert.ok(down_s < 2, `down after ${down_s} s`);
  assert.ok(up_s < up_s_max, `up after ${up_s} s`);
  assert.ok(gap <= GAP_MS_MAX, `${gap} ms without a picture`);
  await viewer.close();
}

test("a viewer whose network narrows gets the lower quality in time, and the higher one again when it can", async () => {
  await narrows("live/qualities", { wide: {}, narrow: { bits_per_second: 350_000, delay_ms: 10 }, up_s_max: STAY_S + 2 });
});

test("a viewer whose bandwidth halves gets the lower quality in time", { skip: !LONG && "LONG=1 runs it" }, async () => {
  const of = (/** @type {number} */ bits_per_second) => ({ bits_per_second, delay_ms: 10 });
  // The better quality has 760 to 840 kbit/s with its sound: twice that is room enough, and half of it is not.
  await narrows("live/halved", { bits: [200_000, 800_000], wide: of(1_400_000), narrow: of(700_000), up_s_max: STAY_S + 2 });
});

test("with 5 % loss, 95 % of the pictures are shown in time", async () => {
  const viewer = await playing("live/lossy");
  relay.impair({ delay_ms: 10, loss_permille: 50 });
  const [since, sent_before, decoded_before] = [await viewer.now(), await viewer.sent(), await viewer.decoded()];
  await sleep(20_000);
  const [shown, sent] = [await viewer.shown(since), (await viewer.sent()) - sent_before];
  const late = shown.filter((one) => one.age >= 500).length;
  const in_time = ((await viewer.decoded()) - decoded_before - late) / sent;
  console.log(`${(in_time * 100).toFixed(1)} % in time, age P95 ${age(shown, 0.95)} ms, longest gap ${longestGap(shown).toFixed(0)} ms`);
  assert.ok(in_time >= 0.95, `${in_time} of ${sent}`);
  await viewer.close();
});

/** So often in a row chance doesn't help. */
const ROUNDS_MAX = 6;

/** Until a page plays, and pictures came for some time. @param {import("playwright-core").Page} page */
async function settled(page) {
  await untilPlaying(page);
  const { frames } = await reading(page);
  await page.waitForFunction((then) => (document.querySelector("video")?.getVideoPlaybackQuality().totalVideoFrames ?? 0) > then + 60, frames);
}

/** The page may only know the way that the relay is in. @param {import("playwright-core").Page} page @param {RegExp} offers */
const knowsTheRelayOnly = (page, offers) => page.route(offers, async (route) => {
  const response = await route.fetch();
  const lines = (await response.text()).split("\r\n");
  await route.fulfill({ response, body: lines.filter((line) => !line.startsWith("a=candidate:") || RegExp(RELAYED).test(line)).join("\r\n") });
});

/** Notes when pictures are shown, once they are. @param {import("playwright-core").Page} page */
async function noted(page) {
  await settled(page);
  await page.evaluate(() => {
    const all = /** @type {any} */ (window);
    all.pictures = [];
    const video = /** @type {HTMLVideoElement} */ (document.querySelector("video"));
    const seen = () => {
      all.pictures.push(performance.now());
      video.requestVideoFrameCallback(seen);
    };
    video.requestVideoFrameCallback(seen);
  });
  await page.waitForFunction(() => /** @type {any} */ (window).pictures.length > 20);
  return {
    /** @returns {Promise<number[]>} when pictures were shown since a moment of the page's clock */
    pictures: (/** @type {number} */ since) => page.evaluate((since) => /** @type {any} */ (window).pictures.filter((/** @type {number} */ at) => at >= since), since),
    now: () => page.evaluate(() => performance.now()),
  };
}

/**
 * The player page behind the relay, playing what ffmpeg publishes.
 * @param {string} name
 */
async function pageBehindRelay(name) {
  relay.impair({});
  const publisher = publish(server, `${name}?key=secret`);
  await live(`live/${name}`);
  const { page, context } = await openPage(browser);
  const requests = /** @type {{ method: string, at: number }[]} */ ([]);
  page.on("request", (request) => /\/whep/.test(request.url()) && requests.push({ method: request.method(), at: Date.now() }));
  await knowsTheRelayOnly(page, /\/whep/);
  await page.goto(`${server.url}/?path=live/${name}&via=webrtc`);
  const shown = await noted(page);
  return {
    page, publisher, requests, ...shown,
    count: (/** @type {string} */ method) => requests.filter((one) => one.method === method).length,
    async close() {
      await context.close();
      await publisher.vanish();
    },
  };
}

test("the page's viewer whose address changes goes on within two seconds, in the same connection", async () => {
  const viewer = await pageBehindRelay("page-moves");
  try {
    // Now and then the browser checks the way by chance in the right moment, and nothing has to be done.
    for (let round = 1; round <= 2 || (viewer.count("PATCH") === 0 && round <= ROUNDS_MAX); round += 1) {
      const since = await viewer.now();
      // Nothing was prepared: the page has to notice.
      relay.rebind();
      await sleep(6000);
      const shown = await viewer.pictures(since - 500);
      const gap = Math.max(...shown.slice(1).map((at, i) => at - shown[i]), (await viewer.now()) - (shown.at(-1) ?? 0));
      console.log(`round ${round}: ${gap.toFixed(0)} ms without a picture, ${viewer.count("PATCH")} restarts`);
      assert.ok(gap < 2000, `${gap} ms`);
      assert.equal(viewer.count("POST"), 1, "it is the same connection");
      assert.ok(viewer.count("PATCH") <= 2 * round, `${viewer.count("PATCH")} restarts`);
    }
    assert.ok(viewer.count("PATCH") >= 1, "the page did something about it");
  } finally {
    await viewer.close();
  }
});

test("the publish page whose address changes goes on within three seconds, in the same connection", async () => {
  relay.impair({});
  const studio = await openPage(browser);
  const requests = /** @type {string[]} */ ([]);
  studio.page.on("request", (request) => /\/whip/.test(request.url()) && requests.push(request.method()));
  const count = (/** @type {string} */ method) => requests.filter((one) => one === method).length;
  await knowsTheRelayOnly(studio.page, /\/whip/);
  await studio.page.goto(`${server.url}/publish`);
  await studio.page.selectOption("[name=source]", "pattern");
  await studio.page.fill("[name=name]", "studio-moves");
  await studio.page.fill("[name=key]", "secret");
  await studio.page.click("[data-action=start]");
  await studio.page.waitForSelector("[data-status=live]");
  const { page, context } = await openPage(browser);
  await page.goto(`${server.url}/?path=live/studio-moves&via=webrtc`);
  const { pictures, now } = await noted(page);
  for (let round = 1; count("PATCH") === 0 && round <= ROUNDS_MAX; round += 1) {
    const since = await now();
    relay.rebind();
    // The browser checks every 2.5 s: each time at another moment between two checks.
    await sleep(6000 + 400 * round);
    const shown = await pictures(since - 500);
    const gap = Math.max(...shown.slice(1).map((at, i) => at - shown[i]), (await now()) - (shown.at(-1) ?? 0));
    console.log(`round ${round}: ${gap.toFixed(0)} ms without a picture, ${count("PATCH")} restarts`);
    assert.ok(gap < 3000, `${gap} ms`);
    assert.equal(count("POST"), 1, "it is the same connection");
  }
  assert.ok(count("PATCH") >= 1, "the page did something about it");
  await context.close();
  await studio.context.close();
});

test("where the server knows the connection no more, the page makes another one", async () => {
  const viewer = await pageBehindRelay("page-begins-anew");
  try {
    await viewer.page.route(/\/whep\//, (route) => (route.request().method() === "PATCH" ? route.fulfill({ status: 404 }) : route.fallback()));
    for (let round = 1; viewer.count("PATCH") === 0 && round <= ROUNDS_MAX; round += 1) {
      relay.rebind();
      // The browser checks every 2.5 s: each time at another moment between two checks.
      await sleep(2500 + 400 * round);
    }
    const since = await viewer.now();
    await viewer.page.waitForFunction((since) => /** @type {any} */ (window).pictures.at(-1) > since + 500, since, { timeout: 10_000 });
    // Another restart may just be on its way, since the browser looks after its way itself, too.
    for (let tries = 0; tries < 50 && viewer.count("POST") !== viewer.count("PATCH") + 1; tries += 1) await sleep(100);
    const [connections, restarts] = [viewer.count("POST"), viewer.count("PATCH")];
    assert.ok(restarts >= 1 && connections === restarts + 1, `${restarts} restarts refused, ${connections} connections`);
  } finally {
    await viewer.close();
  }
});

test("a publisher who is gone is no reason for a storm of restarts", async () => {
  const viewer = await pageBehindRelay("page-pauses");
  try {
    await viewer.publisher.vanish();
    // The grace window is ten seconds.
    await sleep(8000);
    const restarts = viewer.count("PATCH");
    console.log(`${restarts} restarts, ${viewer.count("POST")} connections`);
    assert.ok(restarts <= 2, `${restarts} restarts`);
    assert.equal(viewer.count("POST"), 1, "the connection is kept for when it comes back");
  } finally {
    await viewer.close();
  }
});

test("a viewer whose address changes goes on, even if its page does nothing about it", async () => {
  const viewer = await playing("live/moves");
  const since = await viewer.now();
  relay.rebind();
  await viewer.first(since + 500, 10_000, () => true);
  await sleep(1000);
  const gap = longestGap(await viewer.shown(since - 500));
  console.log(`${gap.toFixed(0)} ms without a picture`);
  // Chromium checks a path that was good every 2.5 s; until then nobody can know.
  assert.ok(gap < 4000, `${gap} ms`);
  await viewer.close();
});

test("ICE begins anew by PATCH, in the same connection, without an interruption", async () => {
  const viewer = await playing("live/restarts");
  const network = (/** @type {string} */ what, /** @type {string} */ etag = "") =>
    viewer.page.evaluate(([what, etag]) => /** @type {any} */ (window).network[what](...(etag ? [etag] : [])), [what, etag]);
  const { links } = await network("connection");
  assert.match(links, /^<turn:127.0.0.1:9\?transport=udp>; rel="ice-server"; username="user"; credential="pass"/);
  assert.equal((await network("restart", '"another"')).status, 412);
  const since = await viewer.now();
  const restarted = await network("restart");
  assert.equal(restarted.status, 200);
  assert.ok(restarted.etag && restarted.etag !== restarted.before, JSON.stringify(restarted));
  relay.rebind();
  await sleep(6000);
  assert.match(await network("state"), /connected|completed/);
  const shown = await viewer.shown(since);
  console.log(`longest gap ${longestGap(shown).toFixed(0)} ms`);
  assert.ok(longestGap(shown) < 2000 && shown.length > 4 * FPS, `${shown.length} pictures, longest gap ${longestGap(shown)} ms`);
  await viewer.close();
});

test("without UDP it plays by TCP on the same port", async () => {
  const viewer = await playing("live/tcp", { way: TCP });
  assert.equal(await viewer.wayUsed(), "tcp");
  const since = await viewer.now();
  await sleep(3000);
  const shown = await viewer.shown(since);
  assert.ok(shown.length > 2 * FPS && age(shown, 0.9) < 500, `${shown.length} pictures, ${age(shown, 0.9)} ms`);
  await viewer.close();
});
