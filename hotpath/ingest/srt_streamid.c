/*
 * SRT listener support: everything that must not wait for Python. One translation unit in three
 * files, joined by build_srt.py: this one (types, streamid, key), srt_admission.c, srt_socket.c.
 *
 * libsrt calls on_connect in its receive thread, which serves every publisher on the port, so
 * nothing here takes the GIL or blocks: the streamid is parsed, the key compared and the
 * passphrase set from a table that Python copied in beforehand (lp_set_table). Every verdict goes
 * into a bounded ring that Python drains (lp_drain_verdicts); a full ring counts what it lost.
 *
 * Locking: one mutex per listener guards table, rate slots and ring. It is held for a few
 * microseconds and never while libsrt is called, except for srt_getsockstate of a table's holder,
 * which takes no lock that a caller of ours could hold.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <srt/access_control.h>
#include <srt/srt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>

#define LP_EVENT_MAX 64
#define LP_KEY_MAX 127
#define LP_STREAMID_MAX 512
#define LP_RING 1024
#define LP_RATE_SLOTS 1024
#define LP_RATE_PROBES 8
#define LP_LOG_RING 256
#define LP_LOG_TEXT 240
#define LP_MESSAGE_MAX 1500

/* ---- what Python sees (repeated in build_srt.py) ---------------------------------------------- */

typedef struct {
    char event[LP_EVENT_MAX + 1];
    char key[LP_KEY_MAX + 1];
    int32_t role;
} lp_streamid;

typedef struct {
    char event[LP_EVENT_MAX + 1];
    char key[LP_KEY_MAX + 1];
    char passphrase[80];
    int open;
    int takeover;
} lp_entry;

typedef struct {
    int32_t socket;
    int32_t reason;
    int32_t role;
    int64_t at_ns;
    int64_t version; /* of the table that decided */
    char event[LP_EVENT_MAX + 1];
    char peer[64];
} lp_verdict;

typedef struct {
    int64_t packets;
    int64_t bytes;
    int64_t lost;
    int64_t dropped;
    int64_t undecrypted;
    int64_t belated;
    int64_t retransmitted;
    double rtt_ms;
    double rate_mbps;
    int32_t buffer_ms;
    int32_t latency_ms;
} lp_statistics;

enum {
    LP_ADMITTED = 0,
    LP_BAD_STREAMID,
    LP_UNKNOWN_EVENT,
    LP_BAD_KEY,
    LP_ROTATED_KEY,
    LP_EVENT_CLOSED,
    LP_BUSY,
    LP_OVER_LIMIT,
    LP_BAD_PASSPHRASE
};

/* The places that an event has for publishers. */
enum { LP_PRIMARY = 0, LP_BACKUP, LP_ROLES };

/* ---- streamid --------------------------------------------------------------------------------- */

static int is_event_char(unsigned char c, int first)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (!first && (c == '_' || c == '-'));
}

static int is_key_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '_' || c == '-' || c == '~';
}

static int take_event(const char *text, size_t length, lp_streamid *out)
{
    if (length < 1 || length > LP_EVENT_MAX)
        return 0;
    for (size_t i = 0; i < length; i++)
        if (!is_event_char((unsigned char)text[i], i == 0))
            return 0;
    memcpy(out->event, text, length);
    out->event[length] = 0;
    return 1;
}

static int take_key(const char *text, size_t length, lp_streamid *out)
{
    if (length < 1 || length > LP_KEY_MAX)
        return 0;
    for (size_t i = 0; i < length; i++)
        if (!is_key_char((unsigned char)text[i]))
            return 0;
    memcpy(out->key, text, length);
    out->key[length] = 0;
    return 1;
}

static int take_role(const char *text, size_t length, lp_streamid *out)
{
    static const char *const names[LP_ROLES] = {"primary", "backup"};
    for (int32_t role = 0; role < LP_ROLES; role++)
        if (length == strlen(names[role]) && memcmp(text, names[role], length) == 0) {
            out->role = role;
            return 1;
        }
    return 0;
}

static int is_named(const char *pair, const char *equals, const char *name)
{
    size_t length = (size_t)(equals - pair);
    return length == strlen(name) && memcmp(pair, name, length) == 0;
}

/* SRT Access Control (draft-sharabayko-srt, appendix B): "#!::" then k=v pairs, comma-separated. */
static int parse_pairs(const char *text, size_t length, lp_streamid *out)
{
    size_t at = 0;
    int has_role = 0;
    while (at <= length) {
        const char *pair = text + at;
        const char *comma = memchr(pair, ',', length - at);
        size_t size = comma ? (size_t)(comma - pair) : length - at;
        const char *equals = memchr(pair, '=', size);
        if (!equals || equals == pair)
            return 0;
        const char *value = equals + 1;
        size_t value_size = size - (size_t)(value - pair);
        if (is_named(pair, equals, "r")) {
            if (out->event[0] || !take_event(value, value_size, out))
                return 0;
        } else if (is_named(pair, equals, "u")) {
            if (out->key[0] || !take_key(value, value_size, out))
                return 0;
        } else if (is_named(pair, equals, "livepath_role")) {
            if (has_role++ || !take_role(value, value_size, out))
                return 0;
        } else if (is_named(pair, equals, "m")) {
            if (value_size != 7 || memcmp(value, "publish", 7) != 0)
                return 0;
        }
        if (!comma)
            break;
        at += size + 1;
    }
    return out->event[0] && out->key[0];
}

/* Returns 1 and fills *out, or 0. The twin in Python is hotpath/ingest/streamid.py. */
int lp_parse_streamid(const char *text, size_t length, lp_streamid *out)
{
    memset(out, 0, sizeof *out);
    if (length == 0 || length > LP_STREAMID_MAX)
        return 0;
    if (length >= 4 && memcmp(text, "#!::", 4) == 0)
        return parse_pairs(text + 4, length - 4, out);
    const char *slash = memchr(text, '/', length);
    if (!slash)
        return 0;
    size_t event_size = (size_t)(slash - text);
    const char *key = slash + 1;
    size_t left = length - event_size - 1;
    const char *second = memchr(key, '/', left);
    size_t key_size = second ? (size_t)(second - key) : left;
    return take_event(text, event_size, out) && take_key(key, key_size, out) &&
           (!second || take_role(second + 1, left - key_size - 1, out));
}

/* ---- keys ------------------------------------------------------------------------------------- */

/* Compares the whole buffers, which both are zero-padded, in time that does not depend on them. */
static int equal_keys(const char *a, const char *b)
{
    unsigned char different = 0;
    for (size_t i = 0; i <= LP_KEY_MAX; i++)
        different |= (unsigned char)(a[i] ^ b[i]);
    return different == 0;
}

/* A key is kid "." generation "." mac; returns 1 when both name a kid, the same, and generations
 * that differ. Neither part is secret, so this need not be constant-time. */
static int other_generation(const char *presented, const char *valid)
{
    const char *a = strchr(presented, '.'), *b = strchr(valid, '.');
    if (!a || !b || a - presented != b - valid || memcmp(presented, valid, (size_t)(a - presented)))
        return 0;
    const char *a_end = strchr(++a, '.'), *b_end = strchr(++b, '.');
    if (!a_end || !b_end || a_end == a || a_end[1] == 0)
        return 0;
    for (const char *p = a; p < a_end; p++)
        if (*p < '0' || *p > '9')
            return 0;
    return a_end - a != b_end - b || memcmp(a, b, (size_t)(a_end - a)) != 0;
}
