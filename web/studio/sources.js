/**
 * Where pictures and sound come from: camera, screen, or a pattern that needs no device.
 * @module
 */

/** @typedef {"camera" | "screen" | "pattern"} Source */

/** Browsers give camera and screen to secure pages only: HTTPS, or this same machine. */
export const secure = () => window.isSecureContext && Boolean(navigator.mediaDevices);

const [WIDTH, HEIGHT, FPS] = [1280, 720, 30];

/**
 * Opens a source; the browser may ask the user first.
 * @param {Source} source
 * @returns {Promise<{ media: MediaStream, close: () => void }>}
 */
export async function open(source) {
  if (source === "pattern") return pattern();
  const size = { width: { ideal: WIDTH }, height: { ideal: HEIGHT }, frameRate: { ideal: FPS } };
  const media = source === "camera"
    ? await navigator.mediaDevices.getUserMedia({ video: size, audio: true })
    : await navigator.mediaDevices.getDisplayMedia({ video: size, audio: true });
  return { media, close: () => media.getTracks().forEach((track) => track.stop()) };
}

/** Colours, a clock, something that moves, and a tone that beeps every second. */
function pattern() {
  const [width, height] = [640, 360];
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const colours = ["#f2f2f2", "#e0d23c", "#3cc8d2", "#3cb44b", "#c03cc0", "#d23c3c", "#3c50d2"];
  const draw = () => {
    colours.forEach((colour, at) => {
      pen.fillStyle = colour;
      pen.fillRect((at * width) / colours.length, 0, width / colours.length + 1, height);
    });
    const now = new Date();
    pen.fillStyle = "#05090a";
    pen.fillRect(0, height * 0.62, width, height * 0.38);
    pen.fillStyle = "#eef5f5";
    pen.font = "600 64px ui-monospace, monospace";
    pen.textAlign = "center";
    pen.fillText(now.toISOString().slice(11, 23), width / 2, height * 0.85);
    pen.fillRect(((now.getTime() % 2000) / 2000) * width, height * 0.92, 48, 16);
  };
  draw();
  const ticker = new Worker(new URL("./ticker.js", import.meta.url));
  ticker.onmessage = draw;
  ticker.postMessage(1000 / FPS);
  const sound = new AudioContext();
  const tone = sound.createOscillator();
  const loudness = sound.createGain();
  const out = sound.createMediaStreamDestination();
  tone.connect(loudness).connect(out);
  loudness.gain.value = 0;
  tone.start();
  const beep = setInterval(() => {
    loudness.gain.setValueAtTime(0.2, sound.currentTime);
    loudness.gain.setValueAtTime(0, sound.currentTime + 0.1);
  }, 1000);
  const media = canvas.captureStream(FPS);
  media.addTrack(out.stream.getAudioTracks()[0]);
  const close = () => {
    ticker.terminate();
    clearInterval(beep);
    media.getTracks().forEach((track) => track.stop());
    sound.close();
  };
  return { media, close };
}
