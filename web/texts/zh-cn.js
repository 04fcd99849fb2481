/**
 * Every text of the player page, in simplified Chinese.
 * @module
 */

/** @type {typeof import("./en.js").english} */
export const chinese = {
  productName: "Floodtide",
  language: "语言",
  skipToContent: "跳到正文",

  list: {
    title: "正在直播",
    others: "其他直播",
    count: (n) => `${n} 路直播中`,
    loading: "正在查找直播…",
    unreachable: "服务器没有响应。请检查它是否仍在运行。本页面会继续尝试连接。",
    viewers: (n) => `${n} 位观众`,
    since: (time) => `已直播 ${time}`,
    soundOnly: "仅音频",
  },

  publish: {
    emptyTitle: "目前没有直播",
    emptyText: "开始推流后，直播会自动出现在这里。",
    title: "推送自己的直播",
    ffmpeg: "使用 ffmpeg",
    obs: "使用 OBS Studio",
    obsSteps: [
      ["设置 → 直播 → 服务", "自定义…"],
      ["服务器", "{server}"],
      ["推流码", "mine"],
      ["设置 → 输出 → 关键帧间隔", "2 秒"],
    ],
    browser: "或直接用此浏览器推流：摄像头、屏幕或测试图案",
    note: "如果服务器前面的路由器或代理映射了端口，请使用它的 RTMP 端口。如果服务器设置了推流密钥，请在名称后加上 ?key=…。",
    copy: "复制",
    copied: "已复制",
  },

  watch: {
    video: (name) => `${name} 的直播画面`,
    soundOn: "打开声音",
    play: "播放",
    tryNow: "立即重试",
    backToLive: "回到直播",
    via: "传输方式",
    viaNames: { hls: "LL-HLS", webrtc: "WebRTC", flv: "FLV", ws: "WS-FLV" },
    viaHints: {
      hls: "兼容性最好，最易扩展，延迟 1 到 3 秒",
      webrtc: "实时，延迟不到半秒",
      flv: "约 1 秒延迟，走普通 HTTP",
      ws: "约 1 秒延迟，走 WebSocket",
    },
    absentTitle: "未开播",
  },

  status: {
    connecting: "正在连接…",
    playing: "正在播放直播",
    paused: "已暂停。继续播放时会跳到最新画面。",
    buffering: "正在等待服务器的数据…",
    silent: "推流端目前没有发送数据。正在等待推流端…",
    waiting: "正在等待推流端…开播后会自动播放。",
    reconnecting: "连接已断开。正在重新连接…",
    blocked: "浏览器需要您先操作。请点击“播放”。",
  },

  errors: {
    codec: "此浏览器无法解码这路直播。请换一个浏览器，或改用 H.264 视频和 AAC 音频推流。",
    unfit: "WebRTC 无法把这路直播送到此浏览器：编码不受支持，或含有 B 帧。请改用 LL-HLS，或以不含 B 帧的 H.264 推流。",
    unsupported: "此浏览器无法以这种方式播放。请改选 LL-HLS。",
    busy: "服务器现在没有空位。一有空位就会自动开始播放。",
    media: "画面无法解码。正在重新开始…",
    refused: "服务器拒绝播放这路直播。请检查地址，或向直播所有者申请权限。",
    library: "页面的一部分没有加载成功。请检查与服务器的连接，然后刷新页面。",
  },

  studio: {
    title: "用此浏览器推流",
    preview: "推流画面预览",
    source: "来源",
    sources: { camera: "摄像头和麦克风", screen: "屏幕", pattern: "测试图案" },
    name: "直播名称",
    key: "推流密钥或令牌",
    codec: "编码",
    bitrate: "码率，Mbit/s",
    simulcast: "同时发送较低画质，供网络较慢的观众观看",
    start: "开始",
    stop: "停止",
    mute: "静音",
    watch: "去观看",
    insecure: "浏览器只允许 HTTPS 页面或本机（localhost）页面使用摄像头和屏幕。测试图案在这里也可以使用。",
    phases: {
      idle: "未推流。",
      starting: "正在开始…",
      live: "直播中。",
      lost: "连接已断开，请重新开始。",
      refused: "服务器拒绝：",
      device: "无法打开该来源。请在浏览器中允许，或换一个来源。",
    },
    figures: {
      title: "正在发送",
      bitrate: "码率",
      fps: "每秒帧数",
      size: "尺寸",
      rtt: "往返时间",
      lost: "丢失的数据包",
      limited: {
        cpu: "此设备跟不上这种画质。请降低码率、更换编码，或只发送一种画质。",
        bandwidth: "网络承载不了这个码率，请降低码率。",
        other: "",
        none: "",
      },
    },
  },

  figures: {
    title: "播放指标",
    explain: "这些指标的含义",
    none: "–",
    latency: {
      name: "延迟",
      unit: "秒",
      hls: "画面落后于服务器播放列表中最新分片的时间。从摄像机到服务器的时间需另外加上。",
      native: "画面落后于浏览器可播放内容末尾的时间。从摄像机到服务器的时间需另外加上。",
      webrtc: "从收到一帧画面的第一个数据包到解码完成的时间，加上到服务器往返时间的一半。" +
        "从摄像头到服务器的时间另计。",
      flv: "已收到但尚未显示的时长，加上到服务器往返时间的一半。从摄像机到服务器的时间需另外加上。",
    },
    bitrate: { name: "码率", unit: "Mbit/s", meaning: "最近几秒收到的数据量。" },
    dropped: {
      name: "丢帧",
      unit: "帧",
      meaning: "本设备因来不及显示而跳过的帧数。",
    },
    rebuffers: {
      name: "卡顿",
      unit: "",
      value: (count, seconds) => (count === 0 ? "0" : `${count} 次 · ${seconds} 秒`),
      meaning: "画面因缺少数据而停顿的次数和总时长。",
    },
    rate: {
      name: "播放速度",
      unit: "×",
      meaning: "略高于 1 表示正在追赶直播，略低于 1 表示正在积累缓冲。",
    },
  },
};
