/**
 * A clock in the picture that a program can read: the time of day in milliseconds as 16 blocks, black or white, along the top, and the
 * same inverted below, so that a picture that can't be read is not taken for an old one.
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";

/** Bits of the clock: it begins anew after 65 s. */
const BITS = 16;
/** Each row takes this share of the picture's height. */
const ROW = 1 / 8;
export const WIDTH = 640;
export const HEIGHT = 360;
export const FPS = 30;

/**
 * What a viewer saw since it was asked last.
 * @typedef {{ ages_ms: number[], unreadable: number }} Read
 */

/**
 * Reads the clock of the page's first video from now on; `window.clock()` has what it read.
 * @param {import("playwright-core").Page} page
 */
export async function readClock(page) {
  await page.evaluate(([bits, row]) => {
    const video = /** @type {HTMLVideoElement} */ (document.querySelector("video"));
    const canvas = Object.assign(document.createElement("canvas"), { width: bits * 4, height: 8 });
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    let seen = /** @type {import("./clock.js").Read} */ ({ ages_ms: [], unreadable: 0 });
    const look = () => {
      const now = Date.now();
      pen.drawImage(video, 0, 0, video.videoWidth, video.videoHeight * row * 2, 0, 0, canvas.width, canvas.height);
      const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
      const value = (/** @type {number} */ y) => {
        let sum = 0;
        for (let bit = 0; bit < bits; bit += 1) {
          if (data[(y * canvas.width + bit * 4 + 2) * 4] > 128) sum += 2 ** bit;
        }
        return sum;
      };
      const [then, inverted] = [value(2), value(6)];
      if (then + inverted === 2 ** bits - 1) seen.ages_ms.push((now - then + 2 ** bits) % 2 ** bits);
      else seen.unreadable += 1;
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
    Object.assign(window, {
      clock: () => {
        const told = seen;
        seen = { ages_ms: [], unreadable: 0 };
        return told;
      },
    });
  }, /** @type {const} */ ([BITS, ROW]));
}

/**
 * Publishes a camera by WHIP in two qualities, with sound, and the clock drawn over it the moment that the camera gives a picture.
 * @param {import("playwright-core").Page} page of the server
 * @param {{ path: string, key: string, way: string }} options `way`: which of the server's candidates it takes, a pattern
 */
export async function publishCamera(page, { path, key, way }) {
  await page.evaluate(async ({ path, key, way, bits, row, width, height, fps }) => {
    const camera = await navigator.mediaDevices.getUserMedia({ video: { width, height, frameRate: fps }, audio: true });
    const video = Object.assign(document.createElement("video"), { muted: true, srcObject: new MediaStream(camera.getVideoTracks()) });
    document.body.append(video);
    await video.play();
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const draw = () => {
      pen.drawImage(video, 0, 0, width, height);
      const now = Date.now() % 2 ** bits;
      for (let bit = 0; bit < bits; bit += 1) {
        const is_set = (now >> bit) & 1;
        [is_set, 1 - is_set].forEach((white, at) => {
          pen.fillStyle = white ? "white" : "black";
          pen.fillRect((bit * width) / bits, at * row * height, width / bits, row * height);
        });
      }
      video.requestVideoFrameCallback(draw);
    };
    draw();
    const peer = new RTCPeerConnection();
    const sendEncodings = [{ rid: "l", scaleResolutionDownBy: 2, maxBitrate: 150_000 }, { rid: "h", maxBitrate: 800_000 }];
    const sender = peer.addTransceiver(canvas.captureStream().getVideoTracks()[0], { direction: "sendonly", sendEncodings });
    peer.addTransceiver(camera.getAudioTracks()[0], { direction: "sendonly" });
    const known = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
    sender.setCodecPreferences(known.filter((one) => one.mimeType === "video/H264"));
    await sender.sender.setParameters({ ...sender.sender.getParameters(), degradationPreference: "maintain-resolution" });
    await peer.setLocalDescription(await peer.createOffer());
    const headers = { "Content-Type": "application/sdp", Authorization: `Bearer ${key}` };
    const answer = await fetch(`/${path}/whip`, { method: "POST", headers, body: peer.localDescription?.sdp });
    if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
    const lines = (await answer.text()).split("\r\n");
    const sdp = lines.filter((line) => !line.startsWith("a=candidate:") || RegExp(way).test(line)).join("\r\n");
    await peer.setRemoteDescription({ type: "answer", sdp });
  }, { path, key, way, bits: BITS, row: ROW, width: WIDTH, height: HEIGHT, fps: FPS });
}

/**
 * Publishes the clock by RTMP with ffmpeg, over a square that moves, and with sound.
 * @param {string} url
 */
export function publishClock(url) {
  const encoding = "-c:v libx264 -preset ultrafast -tune zerolatency -g 30 -sc_threshold 0 -b:v 800k -pix_fmt yuv420p -c:a aac -b:a 96k";
  const child = spawn("ffmpeg", [
    ..."-v error -probesize 32 -analyzeduration 0 -f rawvideo -pix_fmt gray".split(" "), "-s", `${WIDTH}x${HEIGHT}`, "-r", String(FPS), "-i", "pipe:0",
    ..."-re -f lavfi -i sine=sample_rate=48000 -map 0:v -map 1:a".split(" "), ...encoding.split(" "), "-f", "flv", url,
  ], { stdio: ["pipe", "ignore", "inherit"] });
  // It ends before us only when a test fails, which then says so itself.
  child.stdin.on("error", () => {});
  // A pipe holds less than a picture, so the second one is through when ffmpeg has opened both of its inputs. What were drawn before that
  // would be ahead of the sound for ever, and wait for it in the muxer.
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  child.stdin.write(picture(0));
  child.stdin.write(picture(1), () => {
    const began = performance.now();
    let number = 2;
    timer = setInterval(() => {
      for (; number - 2 < ((performance.now() - began) * FPS) / 1000; number += 1) {
        // What a slow reader leaves is bounded by leaving pictures out.
        if (child.stdin.writableLength < 8 * WIDTH * HEIGHT) child.stdin.write(picture(number));
      }
    }, 4);
  });
  return async () => {
    clearInterval(timer);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
}

/** The clock in grey: a byte for each pixel. @param {number} number of the picture */
function picture(number) {
  const [row, block] = [HEIGHT * ROW, WIDTH / BITS];
  const pixels = Buffer.alloc(WIDTH * HEIGHT, 96);
  const line = Buffer.alloc(WIDTH);
  const now = Date.now() % 2 ** BITS;
  for (let bit = 0; bit < BITS; bit += 1) line.fill((now >> bit) & 1 ? 255 : 0, bit * block, (bit + 1) * block);
  const inverted = line.map((pixel) => 255 - pixel);
  for (let y = 0; y < row; y += 1) {
    line.copy(pixels, y * WIDTH);
    pixels.set(inverted, (row + y) * WIDTH);
  }
  const [size, left] = [80, (number * 8) % (WIDTH - 80)];
  for (let y = HEIGHT / 2; y < HEIGHT / 2 + size; y += 1) pixels.fill(200, y * WIDTH + left, y * WIDTH + left + size);
  return pixels;
}
