// Each player as the recorder sees it: {hls.js, shaka}(video, url, recorder) plays, and returns
// {facts()}: {low, target, shownAt, height}, any of which is null while it is not known.
//
// hls.js has the watch page's settings; Shaka those of docs/player.md.

const WORKER = "/static/vendor/hls.worker.js";
const LIBRARY = "/static/vendor/hls.min.mjs";

function hlsFacts(hls) {
  const details = hls?.latestLevelDetails;
  return {
    low: details ? hls.lowLatencyMode && details.canBlockReload && details.partList?.length > 0 : null,
    target: details?.partHoldBack ?? null,
    shownAt: hls?.playingDate?.getTime() ?? null,
    height: hls?.levels[hls.currentLevel]?.height ?? null,
  };
}

function listen(hls, Hls, recorder) {
  hls.on(Hls.Events.ERROR, (_, { details, fatal, reason, error, response }) =>
    recorder.error({ what: details, fatal, why: `${reason ?? error?.message ?? ""} ${response?.code ?? ""}`.trim() }),
  );
}

async function hlsJs(video, url, recorder) {
  const { Playback } = await import("/static/playback.js");
  const { default: Hls } = await import(LIBRARY);
  const playback = new Playback(video, { hls: LIBRARY, worker: WORKER });
  await playback.load(url);
  listen(playback.hls, Hls, recorder);
  window.player = playback;
  return { facts: () => hlsFacts(playback.hls) };
}

// Shaka 5.2 goes by the file name of a live playlist's first segment, and throws while the only one
// is still being made and has none.
async function loaded(player, url) {
  for (;;) {
    try {
      return await player.load(url);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

async function shakaPlayer(video, url, recorder) {
  const { shaka } = window;
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  player.addEventListener("error", ({ detail }) =>
    recorder.error({ what: `${detail.category}.${detail.code}`, fatal: detail.severity === 2, why: String(detail.data) }),
  );
  // In a delta update Shaka looks for the EXT-X-MAP that the update leaves out, and where that comes
  // before its first segment, it appends media without an init section.
  player.getNetworkingEngine().registerRequestFilter((_, request) => {
    request.uris = request.uris.map((uri) => uri.replace(/[?&]_HLS_skip=[^&]*$/, ""));
  });
  player.configure({
    // Shaka 5.2 looks for closed captions in the segment that is still being made, which has no URI.
    manifest: { hls: { disableClosedCaptionsDetection: true } },
    streaming: {
      lowLatencyMode: true,
      // Beyond the PART-HOLD-BACK, which Shaka keeps anyway.
      liveSync: { enabled: true, targetLatency: 0.15, targetLatencyTolerance: 0.1 },
    },
  });
  window.player = player;
  await player.attach(video);
  await loaded(player, url);
  video.play();
  const { streaming } = player.getConfiguration();
  const manifest = player.getManifest();
  return {
    facts: () => ({
      low: streaming.lowLatencyMode && manifest.isLowLatency,
      target: manifest.presentationTimeline.getDelay(),
      shownAt: player.getPlayheadTimeAsDate()?.getTime() ?? null,
      height: player.getVariantTracks().find(({ active }) => active)?.height ?? null,
    }),
  };
}

export const players = { "hls.js": hlsJs, shaka: shakaPlayer };
