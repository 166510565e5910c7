// What WHIP and WHEP clients read from and write into SDP, as pure functions. No DOM, no network.

/**
 * ICE servers in a `Link` header (RFC 9725 4.6):
 * `<turn:h:3478?transport=udp>; rel="ice-server"; username="u"; credential="c"; credential-type="password"`.
 */
export function iceServersOf(link) {
  const servers = [];
  for (const [, url, rest] of (link ?? "").matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]+))*)/g)) {
    const values = Object.fromEntries(
      [...rest.matchAll(/([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))/g)].map(
        ([, name, quoted, bare]) => [name.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? bare],
      ),
    );
    if (values.rel !== "ice-server") continue;
    const server = { urls: url };
    if (values.username !== undefined) server.username = values.username;
    if (values.credential !== undefined) server.credential = values.credential;
    servers.push(server);
  }
  return servers;
}

/** The first target of relation `rel` in a `Link` header, or null. */
export function linkOf(link, rel) {
  const found = (link ?? "").match(new RegExp(`<([^>]*)>[^,]*;\\s*rel="?${rel}"?`));
  return found ? found[1] : null;
}

const lines = (sdp) => sdp.split(/\r?\n/).filter(Boolean);
const values = (sdp, name) => lines(sdp).filter((line) => line.startsWith(`a=${name}:`)).map((line) => line.slice(name.length + 3));

/** The body of an ICE restart (RFC 8840): what of an offer's credentials the server must know. */
export function restartFragment(offer) {
  const group = lines(offer).find((line) => line.startsWith("a=group:BUNDLE"));
  const media = lines(offer).find((line) => line.startsWith("m="));
  const [ufrag] = values(offer, "ice-ufrag");
  const [pwd] = values(offer, "ice-pwd");
  const [mid] = values(offer, "mid");
  const body = [group, media, `a=mid:${mid}`, `a=ice-ufrag:${ufrag}`, `a=ice-pwd:${pwd}`];
  return body.filter(Boolean).join("\r\n") + "\r\n";
}

/** The former answer with the credentials and candidates of the server's reply to a restart. */
export function restartedAnswer(answer, fragment) {
  const [ufrag] = values(fragment, "ice-ufrag");
  const [pwd] = values(fragment, "ice-pwd");
  if (!ufrag || !pwd) throw new Error("the reply to an ICE restart has no credentials");
  const candidates = values(fragment, "candidate");
  const kept = lines(answer).filter((line) => !candidates.length || !line.startsWith("a=candidate:"));
  const changed = kept.flatMap((line) => {
    if (line.startsWith("a=ice-ufrag:")) return [`a=ice-ufrag:${ufrag}`];
    if (line.startsWith("a=ice-pwd:")) return [`a=ice-pwd:${pwd}`, ...candidates.map((value) => `a=candidate:${value}`)];
    return [line];
  });
  return changed.join("\r\n") + "\r\n";
}
