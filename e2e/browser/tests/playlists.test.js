// hls-parser in its strict mode accepts every playlist that the server gives out.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import hls from "hls-parser";
import { pass } from "../support/browser.js";
import { publish } from "../support/publisher.js";
import { startDemo, startServer } from "../support/server.js";

/** @type {Awaited<ReturnType<typeof startDemo>>} */
let server;
before(async () => {
  hls.setOptions({ strictMode: true });
  server = await startDemo();
});
after(() => server?.stop());

const FOLLOWED_MS = 10_000;

/** @param {string} url */
async function text(url) {
  const answer = await fetch(url);
  const body = await answer.text();
  assert.equal(answer.status, 200, `${url}: ${body}`);
  assert.match(answer.headers.get("content-type") ?? "", /mpegurl/);
  return body;
}

/** @param {string} body @param {string} url */
function media(body, url) {
  try {
    return /** @type {import("hls-parser").types.MediaPlaylist} */ (hls.parse(body));
  } catch (error) {
    throw new Error(`${url}: ${error}\n${body}`);
  }
}

/** The position after the newest part. @param {import("hls-parser").types.MediaPlaylist} playlist */
function next(playlist) {
  const open = playlist.segments.at(-1);
  assert.ok(open, "a live playlist has segments");
  // A segment without a URI is still growing; its last listed part is the preload hint.
  const growing = !open.uri;
  return {
    msn: growing ? open.mediaSequenceNumber : open.mediaSequenceNumber + 1,
    part: growing ? open.parts.filter((part) => !part.hint).length : 0,
  };
}

/** Follows a media playlist by blocking reloads, every second one a delta. @param {string} url */
async function followed(url) {
  const seen = { playlists: 0 };
  let at = next(media(await text(url), url));
  const end = Date.now() + FOLLOWED_MS;
  while (Date.now() < end) {
    const skip = seen.playlists % 2 === 1;
    const asked = `${url}?_HLS_msn=${at.msn}&_HLS_part=${at.part}${skip ? "&_HLS_skip=YES" : ""}`;
    const body = await text(asked);
    const playlist = media(body, asked);
    const now = next(playlist);
    assert.ok(now.msn > at.msn || (now.msn === at.msn && now.part > at.part), `${asked} has the part asked for\n${body}`);
    seen.playlists += 1;
    at = now;
  }
  return seen;
}

test("the multivariant playlist and all media playlists are valid over ten seconds of blocking reloads", async () => {
  const url = `${server.url}/live/demo/index.m3u8`;
  const multivariant = /** @type {import("hls-parser").types.MasterPlaylist} */ (hls.parse(await text(url)));
  assert.ok(multivariant.isMasterPlaylist);
  const [variant] = multivariant.variants;
  assert.match(variant.codecs ?? "", /avc1.*mp4a/);
  const lists = [variant.uri, ...variant.audio.map((rendition) => rendition.uri ?? "")]
    .map((uri) => new URL(uri, url).href);
  assert.equal(lists.length, 2, "video and sound");
  for (const [i, seen] of (await Promise.all(lists.map(followed))).entries()) {
    assert.ok(seen.playlists >= 10, `${lists[i]}: ${seen.playlists} playlists`);
  }
});

test("a delta playlist leaves old segments out once there are enough of them", async () => {
  const url = `${server.url}/live/demo/video/index.m3u8`;
  await text(`${server.url}/live/demo/index.m3u8`);
  // CAN-SKIP-UNTIL is six target durations: wait by blocking reloads, not by the clock.
  for (let reloads = 0; reloads < 200; reloads += 1) {
    const full = media(await text(url), url);
    const at = next(full);
    const asked = `${url}?_HLS_msn=${at.msn}&_HLS_part=${at.part}&_HLS_skip=YES`;
    const delta = media(await text(asked), asked);
    if (delta.skip > 0) return;
  }
  assert.fail("no delta in 200 reloads");
});

test("the MPEG-TS playlist for old players is valid", async () => {
  const url = `${server.url}/live/demo/ts/index.m3u8`;
  const playlist = hls.parse(await text(url));
  if (playlist.isMasterPlaylist) {
    const [variant] = /** @type {import("hls-parser").types.MasterPlaylist} */ (playlist).variants;
    const media_url = new URL(variant.uri, url).href;
    media(await text(media_url), media_url);
  }
});

/** Long enough for another ffmpeg to begin, and soon over. */
const GRACE_S = 4;
const GRACE = `publish.stream_key = "secret"\npublish.grace = "${GRACE_S}s"\n`;

/**
 * The media playlists of a broadcast, once it is live: those of its multivariant playlists, for new players and for old ones.
 * @param {string} broadcast its URL @param {RegExp} codecs
 */
async function listsOf(broadcast, codecs) {
  const url = `${broadcast}/index.m3u8`;
  for (let tries = 0; (await fetch(url)).status !== 200; tries += 1) {
    assert.ok(tries < 200, url);
    await pass(100);
  }
  const multivariant = /** @type {import("hls-parser").types.MasterPlaylist} */ (hls.parse(await text(url)));
  const [variant] = multivariant.variants;
  assert.match(variant.codecs ?? "", codecs);
  const uris = [variant.uri, ...variant.audio.map(({ uri }) => uri ?? "")].filter((uri) => uri !== "");
  const old = `${broadcast}/ts/index.m3u8`;
  const ts = hls.parse(await text(old));
  const plain = ts.isMasterPlaylist ? /** @type {import("hls-parser").types.MasterPlaylist} */ (ts).variants[0].uri : old;
  return { blocking: [...new Set(uris)].map((uri) => new URL(uri, url).href), ts: new URL(plain, old).href };
}

/**
 * Reads a media playlist, strictly, again and again until it is like this; by blocking reloads, every second one a delta, as long as
 * it takes any.
 * @param {string} url
 * @param {(playlist: import("hls-parser").types.MediaPlaylist, reads: number) => boolean} like of a whole playlist, and how many were read
 */
async function until(url, like) {
  const deadline = Date.now() + 45_000;
  for (let reads = 1; Date.now() < deadline; reads += 1) {
    const body = await text(url);
    const playlist = media(body, url);
    if (like(playlist, reads)) return { playlist };
    if (url.includes("/ts/") || playlist.endlist) {
      await pass(300);
      continue;
    }
    const at = next(playlist);
    const asked = `${url}?_HLS_msn=${at.msn}&_HLS_part=${at.part}${reads % 2 ? "&_HLS_skip=YES" : ""}`;
    const answer = await fetch(asked);
    // Of what never comes the server says so in time.
    assert.ok([200, 503].includes(answer.status), `${asked}: ${answer.status}`);
    if (answer.status === 200) media(await answer.text(), asked);
  }
  return assert.fail(`${url} never was like that:\n${await text(url)}`);
}

test("a publisher who is killed and comes back with another size is a discontinuity, and the end is one, in valid playlists", async () => {
  const strict = await startServer(GRACE);
  let publisher = publish(strict, "changes?key=secret", { keyframes: 25 });
  try {
    const lists = await listsOf(`${strict.url}/live/changes`, /avc1.*mp4a/);
    assert.equal(lists.blocking.length, 2, "video and sound");
    const all = [...lists.blocking, lists.ts];
    const grown = (/** @type {number} */ count) => (/** @type {import("hls-parser").types.MediaPlaylist} */ { segments }) => segments.length > count;
    await Promise.all(all.map((url) => until(url, grown(3))));
    await publisher.vanish();
    publisher = publish(strict, "changes?key=secret", { keyframes: 25, size: "160x90" });
    const changed = await Promise.all(all.map((url) => until(url, ({ segments }) => {
      const at = segments.findIndex((segment, at) => at > 0 && segment.discontinuity);
      return at > 0 && segments.length > at + 2;
    })));
    const [video] = changed;
    const maps = new Set(video.playlist.segments.map(({ map }) => map?.uri).filter(Boolean));
    assert.ok(maps.size >= 2, `one decoder configuration: ${[...maps]}`);
    await publisher.vanish();
    const ended = await Promise.all(all.map((url) => until(url, ({ endlist }) => endlist)));
    for (const { playlist } of ended) {
      assert.ok(playlist.segments.length > 3 && playlist.segments.every(({ uri }) => uri), "an end has whole segments only");
      assert.ok(playlist.segments.some(({ discontinuity }) => discontinuity));
    }
  } finally {
    await publisher.vanish();
    await strict.stop();
  }
});

test("of sound alone the playlists are valid too, until its end", async () => {
  const strict = await startServer(GRACE);
  const publisher = publish(strict, "sound?key=secret", { pictures: false });
  try {
    const lists = await listsOf(`${strict.url}/live/sound`, /^mp4a/);
    assert.equal(lists.blocking.length, 1);
    const all = [...lists.blocking, lists.ts];
    await Promise.all(all.map((url) => until(url, ({ segments }, reads) => reads > 10 && segments.filter(({ uri }) => uri).length >= 3)));
    await publisher.vanish();
    for (const url of all) await until(url, ({ endlist, segments }) => endlist && segments.length >= 3);
  } finally {
    await publisher.vanish();
    await strict.stop();
  }
});

test("of pictures that come 1, 3 or 5 times a second the parts are as full as they have to be, and none is too long", async () => {
  const strict = await startServer(GRACE);
  const encoder = ["-preset", "ultrafast", "-tune", "zerolatency"];
  const publishers = [1, 3, 5].map((rate) => publish(strict, `slow${rate}?key=secret`, { rate, keyframes: 2 * rate, encoder }));
  try {
    await Promise.all([1, 3, 5].map(async (rate) => {
      const { blocking } = await listsOf(`${strict.url}/live/slow${rate}`, /avc1.*mp4a/);
      const enough = (/** @type {import("hls-parser").types.MediaPlaylist} */ { segments }, /** @type {number} */ reads) => reads > 8 && segments.length > 4;
      const read = await Promise.all(blocking.map((url) => until(url, enough)));
      const targets = read.map(({ playlist }) => playlist.partTargetDuration);
      assert.deepEqual(targets, Array(2).fill({ 1: 1, 3: 0.334, 5: 0.4 }[rate]));
    }));
  } finally {
    await Promise.all(publishers.map((publisher) => publisher.vanish()));
    await strict.stop();
  }
});
