// Players of others on a page of another origin, with settings as they come: pictures and sound for some seconds.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { openPage, pass, startBrowser } from "../support/browser.js";
import { startDemo } from "../support/server.js";

const FFMPEG9 = process.env.FFMPEG9 ?? fileURLToPath(new URL("../../../target/test-tools/ffmpeg9", import.meta.url));
const WATCHED_S = 4;
/** A player may stumble while it begins or when the machine is busy; one of so many spans has to go without a flaw. */
const SPANS = 3;

/** @typedef {{ script: string | null, start: (url: string) => void }} Player */
/** Each runs in the page, where `video` is the element and `complaints` an array. @type {Record<string, Player>} */
const PLAYERS = {
  "hls.js": {
    script: "hls.js/dist/hls.min.js",
    start: (url) => {
      const { Hls, video, complaints } = /** @type {any} */ (window);
      const hls = new Hls();
      hls.on(Hls.Events.ERROR, (/** @type {any} */ _, /** @type {any} */ data) => complaints.push(`${data.type} ${data.details}`));
      hls.loadSource(url);
      hls.attachMedia(video);
    },
  },
  "mpegts.js": {
    script: "mpegts.js/dist/mpegts.js",
    start: (url) => {
      const { mpegts, video, complaints } = /** @type {any} */ (window);
      const player = mpegts.createPlayer({ type: "flv", isLive: true, url });
      player.on(mpegts.Events.ERROR, (/** @type {any[]} */ ...why) => complaints.push(JSON.stringify(why)));
      player.attachMediaElement(video);
      player.load();
    },
  },
  shaka: {
    script: "shaka-player/dist/shaka-player.compiled.js",
    start: (url) => {
      const { shaka, video, complaints } = /** @type {any} */ (window);
      shaka.polyfill.installAll();
      const player = new shaka.Player();
      player.addEventListener("error", (/** @type {any} */ event) => complaints.push(`error ${event.detail.code}`));
      player.attach(video).then(() => player.load(url)).catch((/** @type {any} */ error) => complaints.push(`error ${error.code}`));
    },
  },
  "Chromium itself": {
    script: null,
    start: (url) => {
      /** @type {any} */ (window).video.src = url;
    },
  },
};

/** @type {Awaited<ReturnType<typeof startDemo>>} */
let server;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;
before(async () => {
  server = await startDemo();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/**
 * What was wrong between two looks at the page.
 * @param {any} begin
 * @param {any} end
 * @param {number} frames_a_second of the broadcast
 */
function flawsOf(begin, end, frames_a_second) {
  const frames = end.frames - begin.frames;
  return [
    frames < 0.8 * WATCHED_S * frames_a_second && `${frames} pictures in ${end.time - begin.time} s`,
    end.sound_bytes <= begin.sound_bytes && "no sound",
    end.width === 0 && "no size",
    ...end.complaints,
  ].filter(Boolean);
}

/**
 * @param {string} name of the player
 * @param {string} url
 * @param {number} frames_a_second of the broadcast
 */
async function plays(name, url, frames_a_second) {
  const { page, context } = await openPage(browser);
  try {
    await page.setContent("<!doctype html><title>player</title><video muted autoplay playsinline></video>");
    const player = PLAYERS[name];
    if (player.script) await page.addScriptTag({ path: fileURLToPath(import.meta.resolve(player.script)) });
    await page.evaluate(() => {
      const all = /** @type {any} */ (window);
      all.complaints = [];
      all.video = document.querySelector("video");
      all.video.addEventListener("error", () => all.complaints.push(all.video.error.message));
    });
    await page.evaluate(player.start, url);
    const see = () => page.evaluate(() => {
      const { video, complaints } = /** @type {any} */ (window);
      return {
        time: video.currentTime,
        frames: video.getVideoPlaybackQuality().totalVideoFrames,
        sound_bytes: video.webkitAudioDecodedByteCount,
        width: video.videoWidth,
        state: video.readyState,
        complaints,
      };
    });
    const reached = (/** @type {number} */ time) => page.waitForFunction(
      (time) => /** @type {any} */ (window).video.currentTime > time, time, { timeout: 30_000 },
    ).catch(async () => assert.fail(`${name} never came to ${time} s: ${JSON.stringify(await see())}`));
    await page.waitForFunction(() => {
      const { video } = /** @type {any} */ (window);
      return video.currentTime > 0 && video.getVideoPlaybackQuality().totalVideoFrames > 0;
    }, undefined, { timeout: 30_000 }).catch(async () => assert.fail(`${name} never began: ${JSON.stringify(await see())}`));
    // Players seek when they begin; what comes after is counted.
    await reached((await see()).time + 1);
    const flaws = /** @type {string[][]} */ ([]);
    while (flaws.length < SPANS) {
      await page.evaluate(() => /** @type {any} */ (window).complaints.splice(0));
      const begin = await see();
      await reached(begin.time + WATCHED_S);
      const end = await see();
      const found = flawsOf(begin, end, frames_a_second);
      if (found.length === 0) break;
      flaws.push(found);
    }
    if (flaws.length > 0) console.log(`${name} stumbled: ${JSON.stringify(flaws)}`);
    assert.ok(flaws.length < SPANS, JSON.stringify(flaws));
  } finally {
    await context.close();
  }
}

for (const [name, path] of [
  ["hls.js", "live/demo/index.m3u8"],
  ["hls.js", "live/demo/ts/index.m3u8"],
  ["shaka", "live/demo/index.m3u8"],
  ["shaka", "live/demo/ts/index.m3u8"],
  ["Chromium itself", "live/demo/index.m3u8"],
  ["mpegts.js", "live/demo.flv"],
  ["mpegts.js", "live/demo.flv over WebSocket"],
]) {
  test(`${name} plays ${path}`, async () => {
    const [target, websocket] = path.split(" over ");
    const url = `${server.url}/${target}`;
    // Without parts a player needs three segments to begin with; the first viewer of TS would wait for them in the picture.
    if (target.includes("/ts/")) await listed(url, 3);
    await plays(name, websocket ? url.replace("http:", "ws:") : url, 30);
  });
}

for (const [codec, coding, flv] of /** @type {[string, string, boolean][]} */ ([
  ["AV1", "-c:v libaom-av1 -usage realtime -cpu-used 8", true],
  // mpegts.js has no VP9.
  ["VP9", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8", false],
])) {
  test(`${codec} and Opus play in hls.js, shaka and Chromium itself${flv ? ", and out of FLV in mpegts.js" : ""}`, async () => {
    const path = `live/${codec.toLowerCase()}`;
    const publisher = spawn(FFMPEG9, [
      ..."-v error -re -f lavfi -i testsrc2=s=160x90:r=15 -f lavfi -i sine=r=48000".split(" "),
      ...`${coding} -g 30 -b:v 100k -pix_fmt yuv420p -c:a libopus -ac 2 -f flv`.split(" "),
      `rtmp://127.0.0.1:${server.ports.rtmp}/${path}`,
    ], { stdio: "ignore" });
    const exited = once(publisher, "exit");
    try {
      await live(path);
      // shaka first: it looks for captions in segments, of which there are few yet, unless it is told that there are none.
      for (const name of ["shaka", "hls.js", "Chromium itself"]) await plays(name, `${server.url}/${path}/index.m3u8`, 15);
      for (const url of flv ? [`${server.url}/${path}.flv`, `${server.url.replace("http:", "ws:")}/${path}.flv`] : []) await plays("mpegts.js", url, 15);
    } finally {
      publisher.kill("SIGKILL");
      await exited;
    }
  });
}

test("H.264 and Opus that come by WHIP play in hls.js and mpegts.js, with sound", async () => {
  const publisher = spawn(FFMPEG9, [
    ..."-v error -re -f lavfi -i testsrc2=s=160x90:r=15 -f lavfi -i sine=r=48000".split(" "),
    ..."-c:v libx264 -preset ultrafast -profile:v baseline -bf 0 -g 15 -pix_fmt yuv420p -c:a libopus -ar 48000 -ac 2 -f whip".split(" "),
    `${server.url}/live/whip/whip`,
  ], { stdio: "ignore" });
  const exited = once(publisher, "exit");
  try {
    await live("live/whip");
    await plays("hls.js", `${server.url}/live/whip/index.m3u8`, 15);
    await plays("mpegts.js", `${server.url}/live/whip.flv`, 15);
  } finally {
    publisher.kill("SIGKILL");
    await exited;
  }
});

/** Waits until a playlist has so many segments. @param {string} url @param {number} count */
async function listed(url, count) {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const text = await (await fetch(url)).text();
    if (text.split("#EXTINF").length > count) return;
    assert.ok(Date.now() < deadline, text);
    await pass(100);
  }
}

/** Waits until the server lists a broadcast. @param {string} path */
async function live(path) {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { broadcasts } = await (await fetch(`${server.url}/api/broadcasts`)).json();
    if (broadcasts.some((/** @type {any} */ broadcast) => broadcast.path === path && broadcast.video)) return;
    assert.ok(Date.now() < deadline, `${path} is not live: ${server.output()}`);
    await pass(50);
  }
}
