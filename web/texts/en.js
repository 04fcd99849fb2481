/**
 * Every text of the player page, in English.
 * @module
 */

export const english = {
  productName: "Floodtide",
  language: "Language",
  skipToContent: "Skip to the content",

  list: {
    title: "Live now",
    others: "Also live",
    count: (/** @type {number} */ n) => `${n} live`,
    loading: "Looking for broadcasts…",
    unreachable: "The server does not answer. Check that it still runs. This page keeps trying.",
    viewers: (/** @type {number} */ n) => (n === 1 ? "1 viewer" : `${n} viewers`),
    since: (/** @type {string} */ time) => `live for ${time}`,
    soundOnly: "sound only",
  },

  publish: {
    emptyTitle: "Nothing is live yet",
    emptyText: "Start a broadcast and it appears here by itself.",
    title: "Publish your own",
    ffmpeg: "With ffmpeg",
    obs: "With OBS Studio",
    obsSteps: /** @type {[string, string][]} */ ([
      ["Settings → Stream → Service", "Custom…"],
      ["Server", "{server}"],
      ["Stream key", "mine"],
      ["Settings → Output → Keyframe interval", "2 s"],
    ]),
    browser: "Or from this browser: camera, screen or a test pattern",
    note: "If a router or proxy in front of this server maps ports, use its port for RTMP. " +
      "A server started with a stream key wants that key: add ?key=… to the name.",
    copy: "Copy",
    copied: "Copied",
  },

  watch: {
    video: (/** @type {string} */ name) => `Live video of ${name}`,
    soundOn: "Sound on",
    play: "Play",
    tryNow: "Try now",
    backToLive: "Back to live",
    via: "Delivered as",
    viaNames: { hls: "LL-HLS", webrtc: "WebRTC", flv: "FLV", ws: "WS-FLV" },
    viaHints: {
      hls: "Works everywhere, scales best, 1 to 3 seconds behind",
      webrtc: "Real time, less than half a second behind",
      flv: "About a second behind, over plain HTTP",
      ws: "About a second behind, over a WebSocket",
    },
    absentTitle: "Not live",
    match: "In a match with",
  },

  status: {
    connecting: "Connecting…",
    playing: "Playing live",
    paused: "Paused. Playing again jumps to the live picture.",
    buffering: "Waiting for data from the server…",
    silent: "The publisher sends nothing right now. Waiting for the publisher…",
    waiting: "Waiting for the publisher… Playback starts by itself as soon as the broadcast is live.",
    reconnecting: "The connection was lost. Connecting again…",
    blocked: "Your browser waits for you. Press Play to start.",
  },

  errors: {
    codec: "This browser cannot decode this broadcast. Try another browser, or publish with H.264 video and AAC sound.",
    unfit: "WebRTC cannot carry this broadcast to this browser: its codec is unknown there, or it has B-frames. " +
      "Choose LL-HLS instead, or publish with H.264 without B-frames.",
    unsupported: "This browser cannot play it this way. Choose LL-HLS instead.",
    busy: "The server has no room right now. Playback starts by itself as soon as there is some.",
    media: "The picture could not be decoded. Starting again…",
    refused: "The server refused to play this broadcast. Check the address, or ask its owner for access.",
    library: "A part of this page did not load. Check the connection to the server and reload the page.",
  },

  studio: {
    title: "Publish from this browser",
    preview: "Preview of what is sent",
    source: "Source",
    sources: { camera: "Camera and microphone", screen: "Screen", pattern: "Test pattern" },
    name: "Name of the broadcast",
    key: "Stream key or token",
    codec: "Codec",
    bitrate: "Bitrate, Mbit/s",
    simulcast: "Smaller qualities too, for viewers on slow networks",
    start: "Start",
    stop: "Stop",
    mute: "Mute",
    watch: "Watch it",
    insecure: "Browsers give camera and screen to pages by HTTPS, or from this same machine (localhost), only. The test pattern works here too.",
    phases: {
      idle: "Not publishing.",
      starting: "Starting…",
      live: "Live.",
      lost: "The connection was lost. Start again.",
      refused: "The server refused:",
      device: "The source could not be opened. Allow it in the browser, or choose another one.",
    },
    figures: {
      title: "What is sent",
      bitrate: "Bitrate",
      fps: "Frames per second",
      size: "Size",
      rtt: "Round trip",
      lost: "Lost packets",
      limited: {
        cpu: "This device is too slow for this quality. Choose a lower bitrate, another codec, or one quality only.",
        bandwidth: "The network does not carry this bitrate. Choose a lower one.",
        other: "",
        none: "",
      },
    },
    health: {
      soon: "What comes in is measured…",
      refused: "The server does not say how it comes in:",
    },
  },

  stage: {
    members: "Pictures of the members",
    pictureOf: (/** @type {string} */ name) => `Live video of ${name}`,
    you: (/** @type {string} */ name) => `${name} (you)`,
    come: "Go on the stage",
    comeBack: "Go on the stage again",
    leave: "Leave",
    mute: "Mute me",
    dark: "Camera off",
    controls: "What you send",
    sound: "Sound on",
    muted: "muted",
    cameraOff: "The camera is off.",
    connecting: "Connecting…",
    notHere: "Nothing comes at the moment.",
    empty: "Nobody is on the stage yet. The picture starts by itself.",
    expected: (/** @type {string} */ names) => `Not here yet: ${names}`,
    mutedByHost: "Your sound was turned off by who runs the stage.",
    darkByHost: "Your picture was turned off by who runs the stage.",
    match: (/** @type {string} */ path) => `Match with ${path}`,
    left: (/** @type {string} */ time) => `ends in ${time}`,
    phases: {
      invited: "You are invited. Choose what to send, and go on the stage.",
      known: "You are not on the stage now. Your seat is kept.",
      coming: "Starting…",
      here: "You are on the stage.",
      lost: "The connection was lost. Go on the stage again.",
      audience: "You watch this stage.",
      gone: "You are not on this stage any more.",
    },
    states: {
      absent: "There is no such stage at the moment. This page keeps looking.",
      refused: "The server refused:",
      unreachable: "The server does not answer. This page keeps trying.",
    },
  },

  figures: {
    title: "Playback figures",
    explain: "What these figures mean",
    none: "–",
    latency: {
      name: "Latency",
      unit: "s",
      hls: "How far the picture is behind the newest part in the server's playlist. " +
        "The way from the camera to the server comes on top.",
      native: "How far the picture is behind the end of what the browser may play. " +
        "The way from the camera to the server comes on top.",
      webrtc: "From the first packet of a picture to its end in the decoder, plus half a round trip to the server. " +
        "The way from the camera to the server comes on top.",
      flv: "Received but not yet shown, plus half a round trip to the server. " +
        "The way from the camera to the server comes on top.",
    },
    bitrate: { name: "Bitrate", unit: "Mbit/s", meaning: "What arrived over the last seconds." },
    dropped: {
      name: "Dropped",
      unit: "frames",
      meaning: "Frames that this device skipped because it was too slow to show them.",
    },
    rebuffers: {
      name: "Rebuffers",
      unit: "",
      value: (/** @type {number} */ count, /** @type {string} */ seconds) =>
        (count === 0 ? "0" : `${count} · ${seconds} s`),
      meaning: "How often the picture stood still for want of data, and for how long in all.",
    },
    rate: {
      name: "Speed",
      unit: "×",
      meaning: "Playback speed. A little above 1 catches up with the live picture, a little below builds a reserve.",
    },
  },
};
