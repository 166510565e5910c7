# Varnish and nothing of ours but the shared URL: what collapsing and delivery alone cost, for the
# benchmark. Nobody is checked, so it is not for viewers.

vcl 4.1;

include "origin.vcl";

sub vcl_recv {
    set req.url = regsub(req.url, "^/t/[^/]+", "");
    return (hash);
}

sub vcl_hash {
    hash_data(req.url);
    return (lookup);
}

sub vcl_backend_fetch {
    call prove_edge;
    return (fetch);
}

sub vcl_backend_response {
    set beresp.grace = 0s;
    set beresp.keep = 0s;
    return (deliver);
}
