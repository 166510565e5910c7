# An edge of Livepath's LL-HLS origin, for Varnish 7. docs/cdn.md explains it.
#
# Invariant: nothing below /live/ is delivered, cached or not, before the origin has said within the
# age of its answer that this viewer may watch; all viewers share what is cached.
#
#   viewer: /t/{token}/live/{project}/{event}/{feed}/{rest}    or the same without /t/{token}
#     1.    /edge/check[/t/{token}]/live/{project}/{event}/{feed}    one entry for each token
#           (and, where a token is bound to an address, for each address)
#     2.    /live/{project}/{event}/{feed}/{rest}                    one entry for all viewers

vcl 4.1;

import std;

# `backend origin` and `sub prove_edge`, which adds the secret. `python -m edge` writes this file.
include "origin.vcl";

sub vcl_recv {
    if (req.restarts > 0) {
        # The viewer was let in, and vcl_deliver has put the shared URL in place.
        unset req.http.X-Livepath-Viewer;
        return (hash);
    }
    unset req.http.X-Live-Url;
    if (req.method == "OPTIONS") {
        return (synth(204));
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (synth(405));
    }
    # Nothing else passes: above all not /edge/, /metrics, nor an encoded slash.
    if (req.url !~ "^(/t/[A-Za-z0-9._-]+)?/live(/[a-z0-9_-]+){3}/[A-Za-z0-9._/-]+\.(m3u8|m4s|mp4|vtt)(\?.*)?$") {
        return (synth(404));
    }
    # Behind a TLS terminator this is the viewer's only if that speaks the PROXY protocol.
    set req.http.X-Livepath-Viewer = client.ip;
    call shared_url;
    set req.url = "/edge/check" + regsub(req.url, "^((/t/[^/]+)?/live(/[^/]+){3})/.*$", "\1");
    return (hash);
}

# The URL without token; of the query only what makes another playlist, in one order.
sub shared_url {
    set req.http.X-Live-Url = regsub(req.url, "^/t/[^/]+", "");
    if (req.http.X-Live-Url !~ "\.m3u8\?") {
        set req.http.X-Live-Url = regsub(req.http.X-Live-Url, "\?.*$", "");
    } else {
        set req.http.X-Live-Url = std.querysort(req.http.X-Live-Url);
        set req.http.X-Live-Url = regsuball(
            req.http.X-Live-Url, "[?&](?!_HLS_(msn|part|skip)=)[^&]*", "");
        set req.http.X-Live-Url = regsub(req.http.X-Live-Url, "^([^?&]*)&", "\1?");
    }
}

# What a viewer with a cap gets: the list that all with that cap share, and nothing above it.
sub under_cap {
    unset req.http.X-Rendition;
    if (req.http.X-Live-Url ~ "^/live(/[^/]+){3}/index(-captions)?(-[0-9]+p)?\.m3u8") {
        set req.http.X-Live-Url = regsub(req.http.X-Live-Url,
            "/index(-captions)?(-[0-9]+p)?\.m3u8", "/index\1-" + resp.http.X-Livepath-Cap + ".m3u8");
    } else if (req.http.X-Live-Url ~ "^/live(/[^/]+){3}/[^/?]+\.m3u8") {
        set req.http.X-Rendition = regsub(
            req.http.X-Live-Url, "^/live(?:/[^/]+){3}/([^/?]+)\.m3u8.*$", ",\1,");
    } else {
        set req.http.X-Rendition = regsub(
            req.http.X-Live-Url, "^/live(?:/[^/]+){3}/[^/]+/([^/]+)/.*$", ",\1,");
    }
}

# One origin, so the Host that a viewer calls it by is no part of the key. Requests for what is
# being fetched wait for that one fetch: a blocked reload or a hinted part is one request upstream.
sub vcl_hash {
    hash_data(req.url);
    return (lookup);
}

sub vcl_backend_fetch {
    unset bereq.http.X-Live-Url;
    unset bereq.http.X-Rendition;
    unset bereq.http.X-Livepath-Edge;
    unset bereq.http.Cookie;
    unset bereq.http.Authorization;
    call prove_edge;
    return (fetch);
}

sub vcl_backend_response {
    # A stale playlist makes a player fall behind, a stale check lets in who was sent away.
    set beresp.grace = 0s;
    set beresp.keep = 0s;
    unset beresp.http.Set-Cookie;
    if (bereq.url ~ "^/edge/check/" && (beresp.status == 401 || beresp.status == 403)) {
        set beresp.ttl = 1s;
    } else if (beresp.status >= 500) {
        # All who waited for this share the answer; each asking anew would block as long again.
        set beresp.ttl = 500ms;
    } else if (beresp.status >= 400 || beresp.ttl <= 0s
        || beresp.http.Cache-Control ~ "no-store") {
        # What is refused now may be right in 200 ms, so it is not kept, but remembered as
        # uncacheable: without that the waiting requests would go to the origin one by one.
        set beresp.uncacheable = true;
        set beresp.ttl = 100ms;
    }
    # All else lives as long as its Cache-Control says, and is delivered while it is fetched.
    return (deliver);
}

sub vcl_backend_error {
    set beresp.ttl = 500ms;
    set beresp.grace = 0s;
    set beresp.http.Content-Type = "text/plain; charset=utf-8";
    set beresp.http.Access-Control-Allow-Origin = "*";
    set beresp.http.Retry-After = "1";
    set beresp.body = "the origin does not answer" + {"
"};
    return (deliver);
}

sub vcl_deliver {
    unset resp.http.Via;
    unset resp.http.X-Varnish;
    if (req.url ~ "^/edge/check/") {
        if (resp.status == 204) {
            if (resp.http.X-Livepath-Cap) {
                call under_cap;
                if (req.http.X-Rendition
                    && std.strstr(resp.http.X-Livepath-Beyond, req.http.X-Rendition)) {
                    return (synth(403, "nothing above " + resp.http.X-Livepath-Cap
                        + " is due to this viewer"));
                }
            }
            set req.url = req.http.X-Live-Url;
            return (restart);
        }
        # Refused: the origin's status and reason are the viewer's.
        unset resp.http.Age;
        set resp.http.Cache-Control = "no-store";
        set resp.http.Access-Control-Allow-Origin = "*";
    }
    return (deliver);
}

sub vcl_synth {
    set resp.http.Access-Control-Allow-Origin = "*";
    if (resp.status == 204) {
        set resp.http.Access-Control-Allow-Methods = "GET, HEAD, OPTIONS";
        set resp.http.Access-Control-Allow-Headers = "*";
        set resp.http.Access-Control-Max-Age = "86400";
        return (deliver);
    }
    if (resp.status == 405) {
        set resp.http.Allow = "GET, HEAD, OPTIONS";
    }
    set resp.http.Content-Type = "text/plain; charset=utf-8";
    set resp.body = resp.reason + {"
"};
    return (deliver);
}
