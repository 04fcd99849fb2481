/**
 * Beginning ICE anew within a connection by WHIP or WHEP: other candidates, the same media. RFC 9725 §4.3.3.
 * @module
 */

/** An answer that takes longer comes by a way that is lost too. */
const ANSWER_MS_MAX = 1500;
const FRAGMENT = "application/trickle-ice-sdpfrag";

/**
 * `refused`: the server doesn't know the connection any more. `unreachable`: there was no answer.
 * @param {RTCPeerConnection} peer
 * @param {string} connection its URL
 * @returns {Promise<"restarted" | "refused" | "unreachable">}
 */
export async function restartIce(peer, connection) {
  const before = peer.remoteDescription?.sdp ?? "";
  try {
    peer.restartIce();
    await peer.setLocalDescription(await peer.createOffer());
    // Whatever ICE session the server has by now.
    const headers = { "Content-Type": FRAGMENT, "If-Match": "*" };
    const body = `${secretsOf(peer.localDescription?.sdp ?? "").join("\r\n")}\r\n`;
    const answer = await fetch(connection, { method: "PATCH", headers, body, signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    if (answer.status === 200) {
      await peer.setRemoteDescription({ type: "answer", sdp: withSecrets(before, await answer.text()) });
      return "restarted";
    }
    await undo(peer);
    return answer.status < 500 ? "refused" : "unreachable";
  } catch (error) {
    console.info(error);
    await undo(peer);
    return "unreachable";
  }
}

/** The old session goes on. @param {RTCPeerConnection} peer */
async function undo(peer) {
  if (peer.signalingState === "have-local-offer") await peer.setLocalDescription({ type: "rollback" }).catch(() => {});
}

/** All sections share one connection, and so its secrets. @param {string} sdp */
const secretsOf = (sdp) => ["ice-ufrag", "ice-pwd"].map((name) => sdp.match(RegExp(`^a=${name}:.*`, "m"))?.[0].trim() ?? "");

/** A description with the ICE secrets of a fragment. @param {string} sdp @param {string} fragment */
function withSecrets(sdp, fragment) {
  const [ufrag, password] = secretsOf(fragment);
  // A function, since a text may have signs that mean something there.
  return sdp.replace(/^a=ice-ufrag:[^\r\n]*/gm, () => ufrag).replace(/^a=ice-pwd:[^\r\n]*/gm, () => password);
}
