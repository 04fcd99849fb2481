// hls-parser in its strict mode accepts every playlist that the server gives out.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import hls from "hls-parser";
import { startDemo } from "../support/server.js";

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
