"""Build script of `hotpath.ingest._srt`: libsrt and `srt_*.c`, bound by cffi in API mode.

Run by setuptools (`cffi_modules` in setup.py); it must not import anything of this package.
Needs the SRT headers and library (Debian: `libsrt-openssl-dev`).
"""

from pathlib import Path

from cffi import FFI

DECLARATIONS = """
typedef int32_t SRTSOCKET;

typedef struct { char event[65]; char key[128]; int32_t role; } lp_streamid;
typedef struct {
    char event[65]; char key[128]; char passphrase[80]; int open; int takeover;
} lp_entry;
typedef struct {
    int32_t socket; int32_t reason; int32_t role; int64_t at_ns; int64_t version;
    char event[65]; char peer[64];
} lp_verdict;
typedef struct {
    int64_t packets; int64_t bytes; int64_t lost; int64_t dropped; int64_t undecrypted;
    int64_t belated; int64_t retransmitted; double rtt_ms; double rate_mbps;
    int32_t buffer_ms; int32_t latency_ms;
} lp_statistics;
enum {
    LP_ADMITTED, LP_BAD_STREAMID, LP_UNKNOWN_EVENT, LP_BAD_KEY, LP_ROTATED_KEY, LP_EVENT_CLOSED,
    LP_BUSY, LP_OVER_LIMIT, LP_BAD_PASSPHRASE, ...
};
enum { LP_PRIMARY, LP_BACKUP, ... };
typedef struct lp_listener lp_listener;

int lp_startup(void);
int lp_next_log(char *out, uint64_t *overflow);
int lp_parse_streamid(const char *text, size_t length, lp_streamid *out);
lp_listener *lp_listener_new(double rate_burst, double rate_per_s);
void lp_listener_free(lp_listener *listener);
int lp_set_table(lp_listener *listener, const lp_entry *entries, uint32_t count,
                 int64_t version);
void lp_set_active(lp_listener *listener, const char *event, int role, SRTSOCKET socket);
void lp_set_occupied(lp_listener *listener, const char *event, int role, int occupied);
int lp_drain_verdicts(lp_listener *listener, lp_verdict *out, int max, uint64_t *overflow);
SRTSOCKET lp_listen(lp_listener *listener, const char *address, int port, int latency_ms,
                    int idle_ms, int *bound_port);
SRTSOCKET lp_accept(SRTSOCKET listener);
int lp_drain(SRTSOCKET socket, char *buffer, int capacity, int *messages);
int lp_unread(SRTSOCKET socket);
int lp_statistics_of(SRTSOCKET socket, lp_statistics *out);

int srt_close(SRTSOCKET socket);
int srt_getsockstate(SRTSOCKET socket);
int srt_getrejectreason(SRTSOCKET socket);
uint32_t srt_getversion(void);
const char *srt_getlasterror_str(void);
int srt_epoll_create(void);
int srt_epoll_release(int eid);
int srt_epoll_add_usock(int eid, SRTSOCKET socket, const int *events);
int srt_epoll_remove_usock(int eid, SRTSOCKET socket);
typedef struct { SRTSOCKET fd; int events; ...; } SRT_EPOLL_EVENT;
int srt_epoll_uwait(int eid, SRT_EPOLL_EVENT *events, int size, int64_t timeout_ms);
#define SRT_EPOLL_IN ...
#define SRT_EPOLL_ERR ...
#define SRTS_CONNECTED ...
#define SRTS_BROKEN ...
#define SRT_REJ_BADSECRET ...
#define SRT_REJ_UNSECURE ...
"""

HERE = Path(__file__).resolve().parent
SOURCES = ("srt_streamid.c", "srt_admission.c", "srt_socket.c")

ffibuilder = FFI()
ffibuilder.cdef(DECLARATIONS)
ffibuilder.set_source(
    "hotpath.ingest._srt",
    "".join(f'#line 1 "{name}"\n{(HERE / name).read_text()}' for name in SOURCES),
    libraries=["srt", "pthread"],
    extra_compile_args=["-O2", "-std=gnu11", "-fvisibility=hidden"],
)

if __name__ == "__main__":
    # In place, for a checkout that is not installed.
    ffibuilder.compile(tmpdir=str(HERE.parents[1]))
