/*
 * Who may publish: the table that Python copied in, the connect rate, and the verdict on a caller.
 *
 * Follows srt_streamid.c in the same translation unit; see there for threads and locking.
 */

/* ---- listener --------------------------------------------------------------------------------- */

typedef struct {
    SRTSOCKET admitted; /* last socket this listener let pass; it may still fail the passphrase */
    SRTSOCKET active;   /* the publisher that Python accepted */
    int occupied;       /* somebody publishes in this place by another protocol */
} lp_place;

typedef struct {
    lp_entry entry;
    lp_place places[LP_ROLES];
} lp_row;

typedef struct {
    uint8_t address[16];
    double tokens;
    int64_t at_ns;
} lp_rate;

typedef struct lp_listener {
    pthread_mutex_t lock;
    lp_row *rows;
    uint32_t capacity; /* a power of two, or 0 */
    int64_t version;
    lp_rate rates[LP_RATE_SLOTS];
    double rate_burst;
    double rate_per_s;
    lp_verdict ring[LP_RING];
    uint32_t head, count;
    uint64_t overflow;
} lp_listener;

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint32_t hash_bytes(const void *data, size_t size)
{
    const unsigned char *p = data;
    uint32_t hash = 2166136261u; /* FNV-1a */
    while (size--)
        hash = (hash ^ *p++) * 16777619u;
    return hash;
}

lp_listener *lp_listener_new(double rate_burst, double rate_per_s)
{
    lp_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return NULL;
    pthread_mutex_init(&listener->lock, NULL);
    listener->rate_burst = rate_burst;
    listener->rate_per_s = rate_per_s;
    return listener;
}

static void wipe_rows(lp_row *rows, uint32_t capacity)
{
    if (rows) {
        explicit_bzero(rows, capacity * sizeof *rows);
        free(rows);
    }
}

/* Only after srt_close of the listening socket: libsrt takes it out of its receive queue under the
 * lock that it also holds during the callback, so no callback runs after srt_close has returned. */
void lp_listener_free(lp_listener *listener)
{
    if (!listener)
        return;
    wipe_rows(listener->rows, listener->capacity);
    pthread_mutex_destroy(&listener->lock);
    free(listener);
}

/* The row of the event, or the free row where it belongs. NULL only for an empty table. */
static lp_row *find_row(lp_row *rows, uint32_t capacity, const char *event)
{
    if (!capacity)
        return NULL;
    uint32_t at = hash_bytes(event, strlen(event)) & (capacity - 1);
    while (rows[at].entry.event[0] && strcmp(rows[at].entry.event, event) != 0)
        at = (at + 1) & (capacity - 1);
    return &rows[at];
}

static lp_row *known_row(lp_listener *listener, const char *event)
{
    lp_row *row = find_row(listener->rows, listener->capacity, event);
    return row && row->entry.event[0] ? row : NULL;
}

/* Replaces the whole table. Who publishes where is kept for events that stay. Returns 0, or -1
 * when there is no memory (the old table then stands). */
int lp_set_table(lp_listener *listener, const lp_entry *entries, uint32_t count, int64_t version)
{
    uint32_t capacity = 16;
    while (capacity < count * 2)
        capacity *= 2;
    lp_row *rows = calloc(capacity, sizeof *rows);
    if (!rows)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        lp_row *row = find_row(rows, capacity, entries[i].event);
        row->entry = entries[i];
        for (int role = 0; role < LP_ROLES; role++)
            row->places[role].admitted = row->places[role].active = SRT_INVALID_SOCK;
    }
    pthread_mutex_lock(&listener->lock);
    for (uint32_t i = 0; i < capacity; i++) {
        lp_row *old = rows[i].entry.event[0] ? known_row(listener, rows[i].entry.event) : NULL;
        if (old)
            memcpy(rows[i].places, old->places, sizeof old->places);
    }
    lp_row *old_rows = listener->rows;
    uint32_t old_capacity = listener->capacity;
    listener->rows = rows;
    listener->capacity = capacity;
    listener->version = version;
    pthread_mutex_unlock(&listener->lock);
    wipe_rows(old_rows, old_capacity);
    return 0;
}

/* The place of a known event, or NULL. The lock is held. */
static lp_place *known_place(lp_listener *listener, const char *event, int role)
{
    lp_row *row = role >= 0 && role < LP_ROLES ? known_row(listener, event) : NULL;
    return row ? &row->places[role] : NULL;
}

/* Python accepted `socket` as the event's publisher in a role, or (SRT_INVALID_SOCK) it has none. */
void lp_set_active(lp_listener *listener, const char *event, int role, SRTSOCKET socket)
{
    pthread_mutex_lock(&listener->lock);
    lp_place *place = known_place(listener, event, role);
    if (place)
        place->active = socket;
    pthread_mutex_unlock(&listener->lock);
}

/* Somebody publishes the event in this role by another protocol, or no longer does. */
void lp_set_occupied(lp_listener *listener, const char *event, int role, int occupied)
{
    pthread_mutex_lock(&listener->lock);
    lp_place *place = known_place(listener, event, role);
    if (place)
        place->occupied = occupied;
    pthread_mutex_unlock(&listener->lock);
}

static int is_alive(SRTSOCKET socket)
{
    if (socket == SRT_INVALID_SOCK)
        return 0;
    SRT_SOCKSTATUS state = srt_getsockstate(socket);
    return state == SRTS_CONNECTED || state == SRTS_CONNECTING;
}

/* ---- connect rate ----------------------------------------------------------------------------- */

static void address_of(const struct sockaddr *peer, uint8_t out[16])
{
    memset(out, 0, 16);
    if (peer->sa_family == AF_INET) {
        out[10] = out[11] = 0xff;
        memcpy(out + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
    } else if (peer->sa_family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)peer)->sin6_addr, 16);
    }
}

/* A token bucket per address in a table of fixed size; the slot longest unused is taken over. The
 * address is proven by the handshake cookie, so a forged one never comes here. */
static int within_rate(lp_listener *listener, const struct sockaddr *peer, int64_t now_ns)
{
    uint8_t address[16];
    address_of(peer, address);
    uint32_t start = hash_bytes(address, sizeof address);
    lp_rate *slot = NULL;
    for (uint32_t i = 0; i < LP_RATE_PROBES; i++) {
        lp_rate *candidate = &listener->rates[(start + i) % LP_RATE_SLOTS];
        if (candidate->at_ns && memcmp(candidate->address, address, sizeof address) == 0) {
            slot = candidate;
            break;
        }
        if (!slot || candidate->at_ns < slot->at_ns)
            slot = candidate;
    }
    if (memcmp(slot->address, address, sizeof address) != 0 || !slot->at_ns) {
        memcpy(slot->address, address, sizeof address);
        slot->tokens = listener->rate_burst;
    } else {
        slot->tokens += (double)(now_ns - slot->at_ns) / 1e9 * listener->rate_per_s;
        if (slot->tokens > listener->rate_burst)
            slot->tokens = listener->rate_burst;
    }
    slot->at_ns = now_ns;
    if (slot->tokens < 1.0)
        return 0;
    slot->tokens -= 1.0;
    return 1;
}

/* ---- verdicts --------------------------------------------------------------------------------- */

static void format_peer(const struct sockaddr *peer, char out[64])
{
    char host[INET6_ADDRSTRLEN] = "";
    if (peer->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(out, 64, "%s:%d", host, ntohs(v4->sin_port));
    } else if (peer->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(out, 64, "[%s]:%d", host, ntohs(v6->sin6_port));
    } else {
        out[0] = 0;
    }
}

static void push_verdict(lp_listener *listener, const lp_verdict *verdict)
{
    if (listener->count == LP_RING) {
        listener->overflow++;
        return;
    }
    listener->ring[(listener->head + listener->count++) % LP_RING] = *verdict;
}

/* Moves up to `max` verdicts to `out`; returns how many. *overflow: lost since the start. */
int lp_drain_verdicts(lp_listener *listener, lp_verdict *out, int max, uint64_t *overflow)
{
    int n = 0;
    pthread_mutex_lock(&listener->lock);
    while (n < max && listener->count) {
        out[n++] = listener->ring[listener->head];
        listener->head = (listener->head + 1) % LP_RING;
        listener->count--;
    }
    *overflow = listener->overflow;
    pthread_mutex_unlock(&listener->lock);
    return n;
}

static int reject_code(int reason)
{
    switch (reason) {
    case LP_BAD_STREAMID:
        return SRT_REJX_BAD_REQUEST;
    case LP_UNKNOWN_EVENT:
        return SRT_REJX_NOTFOUND;
    case LP_BAD_KEY:
    case LP_ROTATED_KEY:
        return SRT_REJX_UNAUTHORIZED;
    case LP_EVENT_CLOSED:
        return SRT_REJX_FORBIDDEN;
    case LP_BUSY:
        return SRT_REJX_CONFLICT;
    case LP_OVER_LIMIT:
        return SRT_REJX_OVERLOAD;
    default:
        return SRT_REJX_ISE;
    }
}

/* Decides under the lock; fills passphrase when the answer is LP_ADMITTED. */
static int decide(lp_listener *listener, SRTSOCKET socket, const struct sockaddr *peer,
                  const char *text, lp_verdict *verdict, char passphrase[80])
{
    lp_streamid id;
    if (!within_rate(listener, peer, clock_ns(CLOCK_MONOTONIC)))
        return LP_OVER_LIMIT;
    if (!text || !lp_parse_streamid(text, strnlen(text, LP_STREAMID_MAX + 1), &id))
        return LP_BAD_STREAMID;
    memcpy(verdict->event, id.event, sizeof id.event);
    verdict->role = id.role;
    lp_row *row = known_row(listener, id.event);
    if (!row)
        return LP_UNKNOWN_EVENT;
    if (!equal_keys(id.key, row->entry.key))
        return other_generation(id.key, row->entry.key) ? LP_ROTATED_KEY : LP_BAD_KEY;
    if (!row->entry.open)
        return LP_EVENT_CLOSED;
    /* Callbacks of one port run one after another, so a socket admitted earlier has either
     * connected by now or failed; two publishers can never both pass for one place. */
    lp_place *place = &row->places[id.role];
    if (!row->entry.takeover &&
        (place->occupied || is_alive(place->active) || is_alive(place->admitted)))
        return LP_BUSY;
    place->admitted = socket;
    memcpy(passphrase, row->entry.passphrase, sizeof row->entry.passphrase);
    return LP_ADMITTED;
}

/* What the running receive thread let pass last: libsrt checks the passphrase right after the
 * callback, in the same thread, and tells the cause of a failure only in its log (on_log). */
static __thread lp_listener *passed_listener;
static __thread lp_verdict passed;

static int on_connect(void *opaque, SRTSOCKET socket, int version, const struct sockaddr *peer,
                      const char *text)
{
    lp_listener *listener = opaque;
    lp_verdict verdict;
    char passphrase[80] = "";
    (void)version;
    memset(&verdict, 0, sizeof verdict);
    verdict.socket = socket;
    verdict.at_ns = clock_ns(CLOCK_REALTIME);
    format_peer(peer, verdict.peer);

    pthread_mutex_lock(&listener->lock);
    verdict.version = listener->version;
    verdict.reason = decide(listener, socket, peer, text, &verdict, passphrase);
    push_verdict(listener, &verdict);
    pthread_mutex_unlock(&listener->lock);

    passed_listener = verdict.reason == LP_ADMITTED ? listener : NULL;
    passed = verdict;
    int refused = verdict.reason != LP_ADMITTED;
    if (refused)
        srt_setrejectreason(socket, reject_code(verdict.reason));
    else if (passphrase[0])
        refused = srt_setsockflag(socket, SRTO_PASSPHRASE, passphrase, (int)strlen(passphrase)) != 0;
    explicit_bzero(passphrase, sizeof passphrase);
    return refused ? -1 : 0;
}
