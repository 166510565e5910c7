// Cameras, microphones and screens of this device. Every failure is an Error with the browser's name.

/** Whether this page may ask for a camera at all: browsers allow it over HTTPS and on this machine. */
export function captureAllowed() {
  return Boolean(window.isSecureContext && navigator.mediaDevices?.getUserMedia);
}

export function screenPossible() {
  return Boolean(navigator.mediaDevices?.getDisplayMedia);
}

/** Cameras and microphones; their labels are empty until a permission was given. */
export async function devices() {
  const found = await navigator.mediaDevices.enumerateDevices();
  const of = (kind) => found.filter((device) => device.kind === kind && device.deviceId);
  return { cameras: of("videoinput"), microphones: of("audioinput") };
}

const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** `wanted` is {kind, camera, microphone, sound, quality}; empty ids leave the choice to the browser. */
export async function open(wanted) {
  return wanted.kind === "screen" ? openScreen(wanted) : openCamera(wanted);
}

async function openCamera({ camera, microphone, sound, quality }) {
  const video = { width: { ideal: quality.width }, height: { ideal: quality.height }, frameRate: { ideal: quality.fps } };
  if (camera) video.deviceId = { exact: camera };
  const stream = await navigator.mediaDevices.getUserMedia({ video, audio: sound && microphoneOf(microphone) });
  for (const track of stream.getVideoTracks()) track.contentHint = "motion";
  return stream;
}

async function openScreen({ microphone, sound, quality }) {
  const video = { height: { max: quality.height }, frameRate: { ideal: quality.fps, max: quality.fps } };
  const stream = await navigator.mediaDevices.getDisplayMedia({ video, audio: sound });
  for (const track of stream.getVideoTracks()) track.contentHint = "detail";
  // The sound of the screen goes first; where it has none, one speaks over it.
  if (sound && !stream.getAudioTracks().length) {
    const voice = await navigator.mediaDevices.getUserMedia({ audio: microphoneOf(microphone) }).catch(() => null);
    for (const track of voice?.getAudioTracks() ?? []) stream.addTrack(track);
  }
  return stream;
}

function microphoneOf(id) {
  return id ? { ...SOUND, deviceId: { exact: id } } : SOUND;
}

export function close(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
