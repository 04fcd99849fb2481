import { openPage, startBrowser } from "/work/main/e2e/browser/support/browser.js";
import { startServer } from "/work/main/e2e/browser/support/server.js";
import { startRelay } from "/work/main/e2e/browser/support/relay.js";
const codec = process.argv[2] ?? "H264";
const server = await startServer(`webrtc.addresses = ["127.0.0.1", "127.0.0.2"]\nwebrtc.rendition_stay = "3s"\npublish.stream_key = "k"\n`);
const relay = await startRelay(`127.0.0.2:${server.ports.webrtc}`, `127.0.0.1:${server.ports.webrtc}`);
const browser = await startBrowser();
const { page } = await openPage(browser);
await page.goto(server.url);
page.on("console", (m) => console.log("PAGE", m.text()));
const r = await page.evaluate(async ([codec]) => {
  const only = (sdp, ip) => sdp.split("\r\n").filter((l) => !l.startsWith("a=candidate") || l.includes(` ${ip} `)).join("\r\n");
  const exchange = async (peer, url, ip) => {
    await peer.setLocalDescription(await peer.createOffer());
    const a = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp", Authorization: "Bearer k" }, body: peer.localDescription.sdp });
    const text = await a.text();
    if (a.status !== 201) return text;
    await peer.setRemoteDescription({ type: "answer", sdp: only(text, ip) });
    return "ok";
  };
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
  const pen = canvas.getContext("2d");
  setInterval(() => { for (let i = 0; i < 40; i++) { pen.fillStyle = `hsl(${Math.random()*360} 80% 50%)`; pen.fillRect(Math.random()*640, Math.random()*360, 60, 60); } }, 33);
  const pub = new RTCPeerConnection();
  const tx = pub.addTransceiver(canvas.captureStream(30).getVideoTracks()[0], { direction: "sendonly", sendEncodings: [
    { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 120000 }, { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 350000 }, { rid: "f", maxBitrate: 1000000 } ] });
  tx.setCodecPreferences(RTCRtpSender.getCapabilities("video").codecs.filter((c) => c.mimeType === `video/${codec}`));
  window.pub = pub;
  const one = await exchange(pub, "/live/x/whip", "127.0.0.1");
  await new Promise((r) => setTimeout(r, 4000));
  const peer = new RTCPeerConnection();
  peer.addTransceiver("video", { direction: "recvonly" });
  const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true });
  peer.ontrack = (e) => (video.srcObject = new MediaStream([e.track]));
  document.body.append(video);
  window.video = video; window.peer = peer;
  const two = await exchange(peer, "/live/x/whep", "127.0.0.2");
  return [one, two];
}, [codec]);
console.log(r);
const look = async (label, seconds) => {
  for (let i = 0; i < seconds * 2; i++) {
    await new Promise((r) => setTimeout(r, 500));
    const s = await page.evaluate(async () => {
      const v = [...(await window.peer.getStats()).values()].find((s) => s.type === "inbound-rtp");
      const p = [...(await window.pub.getStats()).values()].filter((s) => s.type === "outbound-rtp").map((s) => `${s.rid}:${s.frameWidth}x${s.frameHeight}@${s.framesPerSecond}:${Math.round(s.targetBitrate/1000)}k`);
      const now = performance.now(), kb = v.bytesReceived * 8 / 1000, was = window.was ?? [now, kb]; window.was = [now, kb];
      return `${window.video.videoWidth} decoded ${v.framesDecoded} freeze ${v.freezeCount} ${v.totalFreezesDuration.toFixed(2)} kbps ${Math.round((kb - was[1]) / (now - was[0]) * 1000)} lost ${v.packetsLost} nack ${v.nackCount} pli ${v.pliCount} | ${p.join(" ")}`;
    });
    console.log(label, s);
  }
};
await look("free", 10);
relay.impair({ bits_per_second: 500000, delay_ms: 10 });
await look("500k", 10);
relay.impair({});
await look("free again", 12);
relay.rebind();
await look("rebound", 5);
await browser.close(); await relay.stop(); await server.stop();
