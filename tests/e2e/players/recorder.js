// What one <video> did, by the wall clock, whichever player drives it.
//
// Times are milliseconds since the first picture moved. A stall is any stretch of at least STALL_MS
// in which `currentTime` stood still; one that lasts is in `standing`.

const TICK_MS = 50;
const SAMPLE_MS = 500;
const STALL_MS = 250;

export class Recorder {
  record = {
    started: null, // Unix time
    samples: [], // {at, time, latency, target, low, height, rate, buffer, frames, dropped}
    stalls: [], // {at, ms}
    standing: 0,
    errors: [],
    parts: 0,
    segments: 0,
    blocking: 0, // playlists asked for with _HLS_msn and _HLS_part
    plain: 0, // and those without
  };
  #video;
  #player = null;
  #time = 0;
  #movedAt = 0;
  #sampledAt = -Infinity;

  constructor(video) {
    this.#video = video;
    new PerformanceObserver((list) => list.getEntries().forEach(({ name }) => this.#count(name))).observe({ type: "resource" });
  }

  start(player) {
    this.#player = player;
    setInterval(() => this.#tick(performance.now()), TICK_MS);
  }

  error(one) {
    this.record.errors.push({ at: this.#since(performance.now()), ...one });
  }

  #since(now) {
    return this.record.started === null ? null : Math.round(now + performance.timeOrigin - this.record.started);
  }

  #count(url) {
    const { pathname, searchParams } = new URL(url);
    if (pathname.endsWith(".m3u8")) {
      if (searchParams.has("_HLS_msn") && searchParams.has("_HLS_part")) this.record.blocking += 1;
      else this.record.plain += 1;
    } else if (/\/s\d+\.\d+\.m4s$/.test(pathname)) this.record.parts += 1;
    else if (/\/s\d+\.m4s$/.test(pathname)) this.record.segments += 1;
  }

  #tick(now) {
    const { currentTime } = this.#video;
    const { record } = this;
    if (record.started === null) {
      if (currentTime === this.#time || this.#video.readyState < 3) {
        this.#time = currentTime;
        return;
      }
      record.started = performance.timeOrigin + now;
      this.#movedAt = now;
    }
    const still = now - this.#movedAt;
    if (currentTime === this.#time) {
      record.standing = still;
    } else {
      // The last standstill ended somewhere within this tick.
      if (record.standing >= STALL_MS) record.stalls.push({ at: this.#since(this.#movedAt), ms: Math.round(record.standing) });
      record.standing = 0;
      this.#movedAt = now;
      this.#time = currentTime;
    }
    if (now - this.#sampledAt < SAMPLE_MS) return;
    this.#sampledAt = now;
    this.#sample(now);
  }

  #sample(now) {
    const { buffered, currentTime, playbackRate } = this.#video;
    const { shownAt, ...facts } = this.#player.facts();
    const { totalVideoFrames, droppedVideoFrames } = this.#video.getVideoPlaybackQuality();
    this.record.samples.push({
      at: this.#since(now),
      time: currentTime,
      latency: shownAt === null ? null : (Date.now() - shownAt) / 1000,
      ...facts,
      rate: playbackRate,
      buffer: buffered.length ? buffered.end(buffered.length - 1) - currentTime : 0,
      frames: totalVideoFrames,
      dropped: droppedVideoFrames,
    });
  }
}
