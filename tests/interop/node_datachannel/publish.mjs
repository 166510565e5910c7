// A WHIP publisher as OBS is one: libdatachannel, audio before video, no candidates in the offer, a
// key frame only when its encoder makes one (no answer to PLI), NACK answered, DELETE at the end.
//
//   node publish.mjs URL TOKEN   < records of kind (1 byte), RTP timestamp (4), size (4), data
//
// Prints "connected" once and errors to stderr; ends when stdin does.
import rtc from "node-datachannel";

const [url, token] = process.argv.slice(2);
const TRACKS = [
  { kind: "audio", mid: "0", payload: 111, clock: 48000, ssrc: 1111 },
  { kind: "video", mid: "1", payload: 96, clock: 90000, ssrc: 2222 },
];

const connection = new rtc.PeerConnection("obs", { iceServers: [], disableAutoNegotiation: true });
const tracks = TRACKS.map(({ kind, mid, payload, clock, ssrc }) => {
  const media = new rtc[kind === "audio" ? "Audio" : "Video"](mid, "SendOnly");
  if (kind === "audio") media.addOpusCodec(payload);
  else media.addH264Codec(payload);
  media.addSSRC(ssrc, "obs", "obs-stream", `obs-${kind}`);
  const track = connection.addTrack(media);
  const config = new rtc.RtpPacketizationConfig(ssrc, "obs", payload, clock);
  const packetizer =
    kind === "audio" ? new rtc.RtpPacketizer(config) : new rtc.H264RtpPacketizer("StartSequence", config);
  packetizer.addToChain(new rtc.RtcpSrReporter(config));
  packetizer.addToChain(new rtc.RtcpNackResponder(4000));
  track.setMediaHandler(packetizer);
  return { track, config };
});

function offered() {
  return new Promise((resolve) => {
    connection.onLocalDescription((sdp) => resolve(sdp));
    connection.setLocalDescription("offer");
  });
}

async function* records(stream) {
  let held = Buffer.alloc(0);
  for await (const chunk of stream) {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 9 && held.length >= 9 + held.readUInt32BE(5)) {
      const size = held.readUInt32BE(5);
      yield { kind: held[0], timestamp: held.readUInt32BE(1), data: held.subarray(9, 9 + size) };
      held = held.subarray(9 + size);
    }
  }
}

const headers = { authorization: `Bearer ${token}`, "content-type": "application/sdp" };
const answer = await fetch(url, { method: "POST", headers, body: await offered() });
if (answer.status !== 201) {
  console.error(`HTTP ${answer.status}: ${await answer.text()}`);
  process.exit(1);
}
const session = new URL(answer.headers.get("location"), url);
connection.onStateChange((state) => console.log(state));
connection.setRemoteDescription(await answer.text(), "answer");
for await (const { kind, timestamp, data } of records(process.stdin)) {
  const { track, config } = tracks[kind];
  if (!track.isOpen()) continue;
  config.timestamp = timestamp;
  track.sendMessageBinary(data);
}
const ended = await fetch(session, { method: "DELETE", headers });
if (!ended.ok) console.error(`DELETE: HTTP ${ended.status}`);
connection.close();
rtc.cleanup();
process.exit(ended.ok ? 0 : 1);
