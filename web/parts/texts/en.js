/**
 * Every text of the parts that pages share, in English.
 * @module
 */

export const english = {
  none: "–",
  seconds: (/** @type {string} */ n) => `${n} s`,
  milliseconds: (/** @type {string} */ n) => `${n} ms`,

  health: {
    title: "Input health",
    nothing: "What comes in looks good.",
    waiting: "Waiting",
    status: { ok: "Good", warning: "Warning", error: "Problem" },
    severity: { info: "Hint:", warning: "Warning:", problem: "Problem:" },
    titles: {
      nothing_comes: "Nothing comes",
      video_missing: "No picture",
      audio_missing: "No sound",
      keyframes_rare: "Keyframes too far apart",
      keyframes_frequent: "Keyframes too frequent",
      keyframes_irregular: "Irregular keyframes",
      b_frames: "B-frames",
      frame_rate_low: "Low frame rate",
      bit_rate_unsteady: "Unsteady bitrate",
      timestamps_mended: "Broken timestamps",
      arrivals_late: "Frames come late",
      reconnecting: "Reconnects",
    },
    // The server says it in English, with the figures.
    text: (/** @type {string} */ _code, /** @type {string} */ said) => said,
  },

  figures: {
    title: "Figures",
    video: "Picture",
    audio: "Sound",
    presence: { absent: "none", here: "comes", promised: "announced, but doesn't come", silent: "stopped" },
    fps: "Frames per second",
    ofNominal: (/** @type {string} */ rate, /** @type {string | null} */ nominal) => (nominal === null ? rate : `${rate} of ${nominal}`),
    keyframes: "Keyframe interval",
    meanAndLongest: (/** @type {string} */ mean, /** @type {string} */ longest) => `${mean}, at most ${longest}`,
    lastKeyframe: "Last keyframe",
    ago: (/** @type {string} */ time) => `${time} ago`,
    gaps: "Keyframe gaps",
    inLastMinute: (/** @type {string} */ count) => `${count} in the last minute`,
    bFrames: "B-frames",
    bFramesOn: (/** @type {string} */ delay) => `on, ${delay} of delay`,
    off: "off",
    lateness: "Latest frame",
    jitter: "Jitter",
    repairs: "Mended timestamps",
    reconnects: "Reconnects",
    lately: (/** @type {string} */ all, /** @type {string} */ lately) => `${all}, ${lately} in the last minute`,
  },
};
