/**
 * Every text of the parts that pages share, in simplified Chinese.
 * @module
 */

/** What the server says in English, for those who read Chinese; the figures stand beside it. */
const ADVICE = /** @type {Record<string, string>} */ ({
  nothing_comes: "连接已建立，但既没有画面也没有声音：请检查编码器的网络，以及它是否暂停或丢失了信号源。",
  video_missing: "没有收到画面：请检查编码器的视频源，以及视频编码器是否在运行（OBS：硬件编码器可能失效；请在 设置 → 输出 中选择 x264）。",
  audio_missing: "没有收到声音：请检查音频源和音轨（OBS：设置 → 音频，以及 设置 → 输出 → 音轨）。等待声音的播放器可能无法开始播放。",
  keyframes_rare: "关键帧相隔太久：新观众的起播位置会落后这么多，HLS 分片也会变得这么长。请将关键帧间隔设为 2 秒（OBS：设置 → 输出 → 关键帧间隔；ffmpeg：-g 设为帧率的 2 倍）。",
  keyframes_frequent: "关键帧过于密集：占用了本可用于画质的码率。请将关键帧间隔设为 2 秒（OBS：设置 → 输出 → 关键帧间隔；ffmpeg：-g 设为帧率的 2 倍）。",
  keyframes_irregular: "关键帧间隔忽长忽短：HLS 分片会长短不一。请将关键帧间隔设为 2 秒，并可关闭场景切换关键帧（x264：scenecut=0）。",
  b_frames: "B 帧已开启：会增加延迟，且 WebRTC 无法传输 B 帧：按 webrtc.b_frames 的设置，其观众看到的是去掉 B 帧或重新编码的画面，或者无法观看。要获得低延迟请将其关闭（OBS：设置 → 输出 → B 帧设为 0；ffmpeg：-bf 0）。",
  frame_rate_low: "实际帧率低于推流端声明的帧率：编码器负荷过高，或因网络而丢帧（OBS：查看 统计 窗口）。请选用更快的预设、更小的画面或更低的码率。",
  bit_rate_unsteady: "码率每秒波动很大：带宽刚好够用的观众会卡顿。请使用恒定码率（OBS：设置 → 输出 → 速率控制 CBR；ffmpeg：-maxrate 和 -bufsize）。",
  timestamps_mended: "最近一分钟有时间戳需要修正：声音和画面可能不同步。请重启编码器，并让同一个程序用同一个时钟产生音视频。",
  arrivals_late: "最近一分钟有帧迟到半秒以上：从编码器到服务器的网络拥塞。请降低码率，或用网线代替 Wi-Fi。",
  reconnecting: "推流端在最近一分钟内多次重连：网络不稳定，或有两个编码器使用同一个密钥。",
});

/** @type {typeof import("./en.js").english} */
export const chinese = {
  none: "–",
  seconds: (n) => `${n} 秒`,
  milliseconds: (n) => `${n} 毫秒`,

  health: {
    title: "输入健康",
    nothing: "输入状况良好。",
    waiting: "等待中",
    status: { ok: "良好", warning: "警告", error: "故障" },
    severity: { info: "提示：", warning: "警告：", problem: "故障：" },
    titles: {
      nothing_comes: "没有任何数据",
      video_missing: "没有画面",
      audio_missing: "没有声音",
      keyframes_rare: "关键帧间隔过长",
      keyframes_frequent: "关键帧过于密集",
      keyframes_irregular: "关键帧不规律",
      b_frames: "使用了 B 帧",
      frame_rate_low: "帧率过低",
      bit_rate_unsteady: "码率不稳定",
      timestamps_mended: "时间戳异常",
      arrivals_late: "帧到达过晚",
      reconnecting: "频繁重连",
    },
    text: (code, said) => ADVICE[code] ?? said,
  },

  figures: {
    title: "详细数据",
    video: "画面",
    audio: "声音",
    presence: { absent: "无", here: "正常", promised: "已声明但未收到", silent: "已中断" },
    fps: "帧率（帧/秒）",
    ofNominal: (rate, nominal) => (nominal === null ? rate : `${rate} / ${nominal}`),
    keyframes: "关键帧间隔",
    meanAndLongest: (mean, longest) => `${mean}，最长 ${longest}`,
    lastKeyframe: "上一个关键帧",
    ago: (time) => `${time}前`,
    gaps: "关键帧中断",
    inLastMinute: (count) => `最近一分钟 ${count} 次`,
    bFrames: "B 帧",
    bFramesOn: (delay) => `开启，增加 ${delay} 延迟`,
    off: "关闭",
    lateness: "最大迟到",
    jitter: "抖动",
    repairs: "修正的时间戳",
    reconnects: "重连",
    lately: (all, lately) => `共 ${all}，最近一分钟 ${lately}`,
  },
};
