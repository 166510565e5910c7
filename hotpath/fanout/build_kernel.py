"""Build script of `hotpath.fanout._kernel`: the `kernel*` C sources, bound by cffi in API mode.

Run by setuptools (`cffi_modules` in setup.py); it must not import anything of this package.
Needs OpenSSL's headers (Debian: `libssl-dev`). With intel-ipsec-mb's header (`libipsec-mb-dev`) GCM
is faster where the library is there at run time, too; nothing is linked against it.
"""

from pathlib import Path

from cffi import FFI

DECLARATIONS = """
enum { LP_CRYPTO_AUTO, LP_CRYPTO_EVP, LP_CRYPTO_NONE, ... };
enum { LP_START_KEYFRAME, LP_START_LIVE, ... };
#define LP_PAYLOAD_MAX ...
#define LP_PACKETS_MAX ...
#define LP_RTCP_MAX ...
#define LP_SHARDS_MAX ...
#define LP_CNAME_MAX ...
#define LP_ERRNOS ...
#define LP_DELAY_BUCKETS ...
#define LP_RTCP_IN_MAX ...
#define LP_INTAKE ...
#define LP_SSRCS_MAX ...
enum { LP_OPENED, LP_SHORT, LP_LONG, LP_FORGED, LP_REPLAYED, LP_MANY_SSRCS, ... };

typedef struct {
    int video; uint32_t clock_hz; uint32_t ssrc; uint32_t timestamp_offset; uint32_t rtx_ssrc;
    uint16_t first_sequence; uint16_t rtx_first_sequence;
    uint8_t payload_type; uint8_t rtx_payload_type; uint8_t capture_id;
} lp_track_spec;
typedef struct {
    int fd; int family; uint8_t address[16]; uint16_t port; uint32_t scope;
} lp_path_spec;
typedef struct {
    int profile; uint8_t key[16]; uint8_t salt[14]; uint8_t remote_key[16];
    uint8_t remote_salt[14]; uint32_t rtx_burst; uint32_t rtx_rate;
    char cname[...];
} lp_viewer_spec;
typedef struct {
    uint64_t packets, bytes, frames, rtx, rtx_bytes, rtx_refused, frames_dropped, errors, sr;
    uint64_t stream; int64_t behind_ns; int32_t last_errno; int32_t gso;
} lp_viewer_stats;
typedef struct {
    uint64_t packets, bytes, frames, rtx, rtx_bytes, rtx_refused, frames_dropped, gso_off, sr;
    uint64_t refused_commands, blocked, syscalls, cpu_ns, viewers, queued;
    uint64_t errors[...];
} lp_shard_stats;
typedef struct { uint64_t count, sum_ns, max_ns; uint64_t buckets[...]; } lp_delay;
typedef struct {
    uint64_t id, frames, bytes, oldest, head, bytes_per_second;
    int64_t newest_timestamp; int has_keyframe, closed;
} lp_stream_stats;
typedef struct {
    uint32_t reports, worst_lost, jitter; int64_t round_trip_ns;
} lp_reception;
typedef struct {
    int32_t length; int32_t family; uint32_t scope; uint16_t port; uint8_t address[16];
    uint8_t data[...];
} lp_datagram;
typedef struct lp_kernel lp_kernel;
typedef struct lp_stream lp_stream;
typedef struct lp_viewer lp_viewer;

lp_kernel *lp_kernel_new(int shards, int crypto);
void lp_kernel_close(lp_kernel *kernel);
void lp_kernel_release(lp_kernel *kernel);
int lp_kernel_accelerated(const lp_kernel *kernel);
void lp_shard_stats_of(const lp_kernel *kernel, int number, lp_shard_stats *out);

lp_stream *lp_stream_new(lp_kernel *kernel, uint32_t clock_hz, int video, size_t max_bytes,
                         uint32_t max_frames);
int lp_stream_push(lp_stream *stream, const uint8_t *data, const uint16_t *sizes, uint32_t packets,
                   int64_t timestamp, int keyframe, int64_t wall_ns, int64_t capture_ns,
                   int64_t patience_ns);
void lp_stream_close(lp_stream *stream);
void lp_stream_release(lp_stream *stream);
void lp_stream_stats_of(lp_stream *stream, lp_stream_stats *out, lp_delay *delay);

lp_viewer *lp_viewer_new(lp_kernel *kernel, const lp_viewer_spec *spec, const lp_path_spec *path,
                         const lp_track_spec *tracks, int count);
int lp_viewer_path(lp_viewer *viewer, const lp_path_spec *path);
int lp_viewer_attach(lp_viewer *viewer, int video, lp_stream *stream, int start);
int lp_viewer_switch(lp_viewer *viewer, lp_stream *stream);
int lp_viewer_detach(lp_viewer *viewer, int video);
int lp_viewer_resend(lp_viewer *viewer);
int lp_viewer_nack(lp_viewer *viewer, uint32_t ssrc, const uint16_t *sequences, uint32_t count);
int lp_viewer_rtcp(lp_viewer *viewer, const uint8_t *plain, uint32_t size);
int lp_viewer_close(lp_viewer *viewer, int bye);
void lp_viewer_release(lp_viewer *viewer);
void lp_viewer_stats_of(lp_viewer *viewer, lp_viewer_stats *out);
int64_t lp_viewer_round_trip(lp_viewer *viewer, uint32_t ssrc, uint32_t lsr, uint32_t dlsr);
int64_t lp_now_ns(void);

int lp_intake_receive(lp_kernel *kernel, int fd, lp_datagram *out, int64_t now, int *taken);
int lp_viewer_open(lp_viewer *viewer, const uint8_t *packet, uint32_t size, uint8_t *out);
int64_t lp_viewer_heard_ns(lp_viewer *viewer);
int64_t lp_viewer_reported(lp_viewer *viewer, int video, lp_reception *out);
"""

HERE = Path(__file__).resolve().parent
SOURCES = (
    "kernel.h",
    "kernel_state.h",
    "kernel_srtp.c",
    "kernel_srtcp.c",
    "kernel_ring.c",
    "kernel_history.c",
    "kernel_track.c",
    "kernel_subscription.c",
    "kernel_packet.c",
    "kernel_socket.c",
    "kernel_send.c",
    "kernel_rtcp.c",
    "kernel_intake.c",
    "kernel_command.c",
    "kernel_shard.c",
    "kernel_viewer.c",
    "kernel_api.c",
)

ffibuilder = FFI()
ffibuilder.cdef(DECLARATIONS)
ffibuilder.set_source(
    "hotpath.fanout._kernel",
    "".join(f'#line 1 "{name}"\n{(HERE / name).read_text()}' for name in SOURCES),
    libraries=["crypto", "pthread", "dl"],
    extra_compile_args=["-O2", "-std=gnu11", "-fvisibility=hidden"],
)

if __name__ == "__main__":
    # In place, for a checkout that is not installed.
    ffibuilder.compile(tmpdir=str(HERE.parents[1]))
