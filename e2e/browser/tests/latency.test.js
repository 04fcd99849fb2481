// From camera to screen, read by a page from the pictures that it shows. LONG=1 watches WHIP → WHEP for five minutes and the others for half a minute.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPage, pass, startBrowser, untilPlaying } from "../support/browser.js";
import { publishCamera, publishClock, readClock } from "../support/clock.js";
import { startRelay } from "../support/relay.js";
import { startServer } from "../support/server.js";

// The server has two addresses in its answers; the relay sits at the second.
const [DIRECT, RELAYED] = ["udp [0-9]+ 127.0.0.1 ", "udp [0-9]+ 127.0.0.2 "];
const LONG = process.env.LONG === "1";
/** Until a player has settled: the first pictures come out of the cache, and players by segments come nearer step by step. */
const SETTLE_S = LONG ? 10 : 3;
const WATCH_S = LONG ? 30 : 6;

/**
 * What is promised of each route, in ms: for 95 and for 99 of 100 pictures, and what the server itself may add to 99 of 100 where pictures
 * don't wait for each other to share a segment. A machine that runs other tests beside delays threads for longer.
 * @typedef {{ from: "whip" | "rtmp", via: string, p95: number, p99?: number, server_p99?: number, relayed?: boolean, long_s?: number }} Route
 */
const SERVER_P99 = LONG ? 10 : 50;
/** @type {Record<string, Route>} */
const ROUTES = {
  "WHIP → WHEP": { from: "whip", via: "webrtc", p95: 250, p99: 800, server_p99: SERVER_P99, long_s: 300 },
  "WHIP → WHEP, 40 ms RTT, 5 ms jitter, 1 % loss": { from: "whip", via: "webrtc", p95: 500, p99: 800, server_p99: SERVER_P99, relayed: true, long_s: 300 },
  "WHIP → LL-HLS": { from: "whip", via: "hls", p95: 3000 },
  "RTMP → WHEP": { from: "rtmp", via: "webrtc", p95: 500, p99: 800, server_p99: SERVER_P99 },
  "RTMP → HTTP-FLV": { from: "rtmp", via: "flv", p95: 1500 },
  "RTMP → LL-HLS": { from: "rtmp", via: "hls", p95: 3000 },
};

/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {Awaited<ReturnType<typeof startRelay>>} */
let relay;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;
/** Ends the publisher of now. @type {() => Promise<void>} */
let stop = async () => {};
let publishes = "";
const rows = /** @type {string[]} */ ([]);
before(async () => {
  server = await startServer('webrtc.addresses = ["127.0.0.1", "127.0.0.2"]\npublish.stream_key = "secret"\n');
  relay = await startRelay(`127.0.0.2:${server.ports.webrtc}`, `127.0.0.1:${server.ports.webrtc}`);
  browser = await startBrowser();
});
after(async () => {
  console.log(["| Route | Pictures | P50 | P95 | P99 | Added by the server, P99 at most |", "|---|---|---|---|---|---|", ...rows].join("\n"));
  await stop();
  await browser?.close();
  await relay?.stop();
  await server?.stop();
});

/** One publisher at a time, so that the machine has as little as possible to do beside. @param {"whip" | "rtmp"} from */
async function publish(from) {
  if (publishes === from) return;
  await stop();
  publishes = from;
  if (from === "rtmp") {
    stop = publishClock(`rtmp://127.0.0.1:${server.ports.rtmp}/live/rtmp?key=secret`);
  } else {
    const { page, context } = await openPage(browser);
    await page.goto(server.url);
    await publishCamera(page, { path: "live/whip", key: "secret", way: DIRECT });
    stop = () => context.close();
  }
  await server.live(`live/${from}`);
}

/** How many frames had at most which age (s) when they went to viewers: the server's own histogram. @returns {Promise<Map<number, number>>} */
async function ages() {
  const text = await (await fetch(`${server.admin}/metrics`)).text();
  const found = [...text.matchAll(/^floodtide_frame_age_seconds_bucket\{le="([^"]+)"\} ([0-9.]+)/gm)];
  return new Map(found.map(([, bound, count]) => [bound === "+Inf" ? Infinity : Number(bound), Number(count)]));
}

/** The bound below which 99 of 100 of the frames between two looks were, in ms. @param {Map<number, number>} then @param {Map<number, number>} now */
function bound(then, now) {
  const counts = [...now].map(([limit, count]) => ({ limit, count: count - (then.get(limit) ?? 0) }));
  const all = counts.at(-1)?.count ?? 0;
  return { frames: all, p99: (counts.find(({ count }) => count >= 0.99 * all)?.limit ?? Infinity) * 1000 };
}

/** @param {number[]} sorted @param {number} share */
const part = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

for (const [name, route] of Object.entries(ROUTES)) {
  test(`${name}: 95 of 100 pictures are younger than ${route.p95} ms on the screen`, async () => {
    await publish(route.from);
    relay.impair({});
    const { page, context } = await openPage(browser);
    const way = route.relayed ? RELAYED : DIRECT;
    await page.route("**/whep", async (asked) => {
      const answer = await asked.fetch();
      const lines = (await answer.text()).split("\r\n");
      await asked.fulfill({ response: answer, body: lines.filter((line) => !line.startsWith("a=candidate:") || RegExp(way).test(line)).join("\r\n") });
    });
    await page.goto(`${server.url}/?path=live/${route.from}&via=${route.via}`);
    await untilPlaying(page);
    if (route.relayed) relay.impair({ delay_ms: 20, jitter_ms: 5, loss_permille: 10 });
    await readClock(page);
    await pass(SETTLE_S * 1000);
    await page.evaluate(() => /** @type {any} */ (window).clock());
    const seconds = (LONG && route.long_s) || WATCH_S;
    const before = await ages();
    await pass(seconds * 1000);
    const added = bound(before, await ages());
    const { ages_ms, unreadable } = /** @type {import("../support/clock.js").Read} */ (await page.evaluate(() => /** @type {any} */ (window).clock()));
    const width = await page.evaluate(() => document.querySelector("video")?.videoWidth);
    await context.close();
    const sorted = ages_ms.toSorted((a, b) => a - b);
    const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => part(sorted, share));
    const told = route.via === "hls" ? "–" : `${added.p99} ms`;
    rows.push(`| ${name} | ${sorted.length} of ${width} px in ${seconds} s | ${p50} ms | ${p95} ms | ${p99} ms | ${told} |`);
    assert.ok(sorted.length > 10 * seconds, `only ${sorted.length} pictures in ${seconds} s`);
    assert.ok(unreadable <= sorted.length / 100, `${unreadable} pictures couldn't be read, ${sorted.length} could`);
    assert.ok(p95 < route.p95, `P95 ${p95} ms`);
    assert.ok(p99 < (route.p99 ?? Infinity), `P99 ${p99} ms`);
    if (route.server_p99) {
      assert.ok(added.frames > 10 * seconds, `the server counted ${added.frames} frames`);
      assert.ok(added.p99 <= route.server_p99, `the server added ${added.p99} ms at most to 99 of 100 frames`);
    }
  });
}
