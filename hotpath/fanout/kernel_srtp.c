/*
 * SRTP and SRTCP for sending: AES-128-GCM (RFC 7714) and AES-CM with HMAC-SHA1-80 (RFC 3711).
 *
 * GCM comes from intel-ipsec-mb where it was there at build time and is there at run time: a
 * quarter of EVP's cost. It is loaded by name, so nothing needs it.
 */

/* ---- intel-ipsec-mb ----------------------------------------------------------------------------- */

#ifdef LP_WITH_IPSEC_MB
static struct {
    IMB_MGR *(*alloc)(uint64_t flags);
    void (*init)(IMB_MGR *manager, IMB_ARCH *arch);
    void (*free)(IMB_MGR *manager);
} imb;
static pthread_once_t imb_once = PTHREAD_ONCE_INIT;

static void imb_load(void)
{
    void *library = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    unsigned (*version)(void) = (unsigned (*)(void))dlsym(library, "imb_get_version");
    imb.init = (void (*)(IMB_MGR *, IMB_ARCH *))dlsym(library, "init_mb_mgr_auto");
    imb.free = (void (*)(IMB_MGR *))dlsym(library, "free_mb_mgr");
    /* The manager's members only ever grow at its end within one soname. */
    if (version && imb.init && imb.free && version() >= IMB_VERSION_NUM)
        imb.alloc = (IMB_MGR * (*)(uint64_t)) dlsym(library, "alloc_mb_mgr");
}

static void *imb_manager(void)
{
    pthread_once(&imb_once, imb_load);
    IMB_MGR *manager = imb.alloc ? imb.alloc(0) : NULL;
    if (manager)
        imb.init(manager, NULL);
    if (manager && !(manager->gcm128_pre && manager->gcm128_enc)) {
        imb.free(manager);
        manager = NULL;
    }
    return manager;
}

static void imb_manager_free(void *manager)
{
    if (manager)
        imb.free(manager);
}

static void *imb_key_new(void *manager, const uint8_t key[16])
{
    void *expanded = NULL;
    if (posix_memalign(&expanded, 64, sizeof(struct gcm_key_data)))
        return NULL;
    memset(expanded, 0, sizeof(struct gcm_key_data));
    IMB_AES128_GCM_PRE((IMB_MGR *)manager, key, (struct gcm_key_data *)expanded);
    return expanded;
}

static void imb_key_free(void *key)
{
    if (key)
        explicit_bzero(key, sizeof(struct gcm_key_data));
    free(key);
}

static inline int imb_seal(void *manager, const void *key, const uint8_t iv[12], uint8_t *packet,
                           uint32_t header, const uint8_t *payload, uint32_t size)
{
    struct gcm_context_data context; /* a fresh one: one left from a packet costs cache misses */
    IMB_AES128_GCM_ENC((IMB_MGR *)manager, key, &context, packet + header, payload, size, iv,
                       packet, header, packet + header + size, 16);
    return 1;
}
#else
static void *imb_manager(void)
{
    return NULL;
}
static void imb_manager_free(void *manager)
{
    (void)manager;
}
static void *imb_key_new(void *manager, const uint8_t key[16])
{
    (void)manager, (void)key;
    return NULL;
}
static void imb_key_free(void *key)
{
    (void)key;
}
static inline int imb_seal(void *manager, const void *key, const uint8_t iv[12], uint8_t *packet,
                           uint32_t header, const uint8_t *payload, uint32_t size)
{
    (void)manager, (void)key, (void)iv, (void)packet, (void)header, (void)payload, (void)size;
    return 0;
}
#endif

/* ---- keys --------------------------------------------------------------------------------------- */

/* RFC 3711 4.3.1: key derivation rate 0, so r = 0. RFC 7714 11 uses it with a 96-bit salt. */
static int derive(EVP_CIPHER_CTX *ctr, const uint8_t key[16], const uint8_t salt[14],
                  uint8_t label, uint8_t *out, int size)
{
    static const uint8_t zeros[20];
    uint8_t iv[16] = {0};
    int written;
    memcpy(iv, salt, 14);
    iv[7] ^= label;
    return EVP_EncryptInit_ex(ctr, EVP_aes_128_ctr(), NULL, key, iv) &&
           EVP_EncryptUpdate(ctr, out, &written, zeros, size);
}

static void hmac_prepare(SHA_CTX *inner, SHA_CTX *outer, const uint8_t key[20])
{
    uint8_t block[64];
    memset(block, 0x36, sizeof block);
    for (int i = 0; i < 20; i++)
        block[i] ^= key[i];
    SHA1_Init(inner);
    SHA1_Update(inner, block, sizeof block);
    for (int i = 0; i < 64; i++)
        block[i] ^= 0x36 ^ 0x5c;
    SHA1_Init(outer);
    SHA1_Update(outer, block, sizeof block);
    explicit_bzero(block, sizeof block);
}

/* `tail`: what is authenticated behind the packet, 4 bytes or NULL. */
static void hmac_tag(const SHA_CTX *inner, const SHA_CTX *outer, const uint8_t *packet,
                     uint32_t size, const uint8_t *tail, uint8_t tag[10])
{
    uint8_t digest[20];
    SHA_CTX context = *inner;
    SHA1_Update(&context, packet, size);
    if (tail)
        SHA1_Update(&context, tail, 4);
    SHA1_Final(digest, &context);
    context = *outer;
    SHA1_Update(&context, digest, sizeof digest);
    SHA1_Final(digest, &context);
    memcpy(tag, digest, 10);
}

static int derive_all(lp_viewer *viewer, EVP_CIPHER_CTX *ctr, const lp_viewer_spec *spec,
                      uint8_t rtp_key[16])
{
    uint8_t rtp_auth[20], rtcp_auth[20], their_auth[20];
    const uint8_t *key = spec->key, *salt = spec->salt;
    const uint8_t *their_key = spec->remote_key, *their_salt = spec->remote_salt;
    int size = spec->profile == 7 ? 12 : 14;
    int good = derive(ctr, key, salt, 0, rtp_key, 16) && derive(ctr, key, salt, 1, rtp_auth, 20) &&
               derive(ctr, key, salt, 2, viewer->rtp.salt, size) &&
               derive(ctr, key, salt, 3, viewer->rtcp.key, 16) &&
               derive(ctr, key, salt, 4, rtcp_auth, 20) &&
               derive(ctr, key, salt, 5, viewer->rtcp.salt, size) &&
               derive(ctr, their_key, their_salt, 3, viewer->opener.key, 16) &&
               derive(ctr, their_key, their_salt, 4, their_auth, 20) &&
               derive(ctr, their_key, their_salt, 5, viewer->opener.salt, size);
    hmac_prepare(&viewer->rtp.inner, &viewer->rtp.outer, rtp_auth);
    hmac_prepare(&viewer->rtcp.inner, &viewer->rtcp.outer, rtcp_auth);
    hmac_prepare(&viewer->opener.inner, &viewer->opener.outer, their_auth);
    explicit_bzero(rtp_auth, sizeof rtp_auth);
    explicit_bzero(rtcp_auth, sizeof rtcp_auth);
    explicit_bzero(their_auth, sizeof their_auth);
    viewer->opener.gcm = spec->profile == 7;
    return good;
}

static void cipher_free(lp_viewer *viewer)
{
    EVP_CIPHER_CTX_free(viewer->rtp.evp);
    imb_key_free(viewer->rtp.imb_key);
    explicit_bzero(&viewer->rtp, sizeof viewer->rtp);
    explicit_bzero(&viewer->rtcp, sizeof viewer->rtcp);
}

/* Makes the viewer's session keys. Returns 0, or -1 when OpenSSL or memory fails. */
static int cipher_init(lp_viewer *viewer, const lp_viewer_spec *spec)
{
    uint8_t key[16];
    lp_shard *shard = viewer->shard;
    EVP_CIPHER_CTX *ctr = EVP_CIPHER_CTX_new();
    int good = ctr && derive_all(viewer, ctr, spec, key);
    viewer->cipher = spec->profile == 7 ? LP_CIPHER_EVP_GCM : LP_CIPHER_CM;
    if (good && shard->imb && spec->profile == 7) {
        viewer->cipher = LP_CIPHER_IMB_GCM;
        viewer->rtp.imb_key = imb_key_new(shard->imb, key);
        good = viewer->rtp.imb_key != NULL;
    } else if (good) {
        const EVP_CIPHER *kind = spec->profile == 7 ? EVP_aes_128_gcm() : EVP_aes_128_ctr();
        viewer->rtp.evp = EVP_CIPHER_CTX_new();
        good = viewer->rtp.evp && EVP_EncryptInit_ex(viewer->rtp.evp, kind, NULL, key, NULL);
    }
    explicit_bzero(key, sizeof key);
    EVP_CIPHER_CTX_free(ctr);
    if (!good)
        cipher_free(viewer);
    return good ? 0 : -1;
}

/* ---- packets ------------------------------------------------------------------------------------ */

static inline void put16(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static inline void put32(uint8_t *out, uint32_t value)
{
    uint32_t big = htonl(value);
    memcpy(out, &big, 4);
}

static inline uint32_t tag_size(const lp_viewer *viewer)
{
    return viewer->cipher == LP_CIPHER_CM ? 10 : 16;
}

static int evp_seal(EVP_CIPHER_CTX *evp, const uint8_t *iv, const uint8_t *extra, int extra_size,
                    uint8_t *out, const uint8_t *plain, int size, uint8_t tag[16])
{
    int written;
    return EVP_EncryptInit_ex(evp, NULL, NULL, NULL, iv) &&
           EVP_EncryptUpdate(evp, NULL, &written, extra, extra_size) &&
           EVP_EncryptUpdate(evp, out, &written, plain, size) &&
           EVP_EncryptFinal_ex(evp, out + size, &written) &&
           EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_GCM_GET_TAG, 16, tag);
}

/* Protects one packet: `header` bytes (RTP header, extension) stand in `packet`; the payload is
 * encrypted behind them and the tag follows. Returns the packet's size, or 0 when OpenSSL fails
 * (nothing must then be sent). */
static inline uint32_t srtp_protect(lp_viewer *viewer, uint8_t *packet, uint32_t header,
                                    const uint8_t *payload, uint32_t size, uint64_t index)
{
    lp_rtp_cipher *rtp = &viewer->rtp;
    uint8_t iv[16] = {0};
    int good = 1, written;
    if (viewer->cipher == LP_CIPHER_NONE) {
        memcpy(packet + header, payload, size);
        memset(packet + header + size, 0, 16);
    } else if (viewer->cipher == LP_CIPHER_CM) { /* RFC 3711 4.1.1, 4.2 */
        uint8_t roc[4];
        put32(roc, (uint32_t)(index >> 16));
        memcpy(iv + 4, packet + 8, 4);
        memcpy(iv + 8, roc, 4);
        memcpy(iv + 12, packet + 2, 2);
        for (int i = 0; i < 14; i++)
            iv[i] ^= rtp->salt[i];
        good = EVP_EncryptInit_ex(rtp->evp, NULL, NULL, NULL, iv) &&
               EVP_EncryptUpdate(rtp->evp, packet + header, &written, payload, (int)size);
        hmac_tag(&rtp->inner, &rtp->outer, packet, header + size, roc, packet + header + size);
    } else { /* RFC 7714 8.1 */
        memcpy(iv + 2, packet + 8, 4);
        put32(iv + 6, (uint32_t)(index >> 16));
        memcpy(iv + 10, packet + 2, 2);
        for (int i = 0; i < 12; i++)
            iv[i] ^= rtp->salt[i];
        if (viewer->cipher == LP_CIPHER_IMB_GCM)
            good = imb_seal(viewer->shard->imb, rtp->imb_key, iv, packet, header, payload, size);
        else
            good = evp_seal(rtp->evp, iv, packet, (int)header, packet + header, payload, (int)size,
                            packet + header + size);
    }
    return good ? header + size + tag_size(viewer) : 0;
}

/* Protects the compound packet `plain` into `out`, which has room for 30 bytes more. The index is
 * the viewer's own, shared by its SSRCs. Returns the size, or 0. */
static uint32_t srtcp_protect(lp_shard *shard, lp_viewer *viewer, uint8_t *out,
                              const uint8_t *plain, uint32_t size)
{
    lp_rtcp_cipher *rtcp = &viewer->rtcp;
    uint32_t index = rtcp->index++ & 0x7fffffff;
    uint8_t iv[16] = {0}, extra[12];
    int good = 1, written;
    memcpy(out, plain, 8);
    if (viewer->cipher == LP_CIPHER_NONE) {
        memcpy(out, plain, size);
        memset(out + size, 0, 20);
        return size + 20;
    }
    if (viewer->cipher == LP_CIPHER_CM) { /* RFC 3711 3.4 */
        memcpy(iv + 4, plain + 4, 4);
        put32(iv + 10, index);
        for (int i = 0; i < 14; i++)
            iv[i] ^= rtcp->salt[i];
        good = EVP_EncryptInit_ex(shard->rtcp_ctr, NULL, NULL, rtcp->key, iv) &&
               EVP_EncryptUpdate(shard->rtcp_ctr, out + 8, &written, plain + 8, (int)size - 8);
        put32(out + size, index | 0x80000000u);
        hmac_tag(&rtcp->inner, &rtcp->outer, out, size + 4, NULL, out + size + 4);
        return good ? size + 14 : 0;
    }
    memcpy(iv + 2, plain + 4, 4); /* RFC 7714 9.1, 9.2 */
    put32(iv + 8, index);
    for (int i = 0; i < 12; i++)
        iv[i] ^= rtcp->salt[i];
    memcpy(extra, plain, 8);
    put32(extra + 8, index | 0x80000000u);
    good = EVP_EncryptInit_ex(shard->rtcp_gcm, NULL, NULL, rtcp->key, NULL) &&
           evp_seal(shard->rtcp_gcm, iv, extra, 12, out + 8, plain + 8, (int)size - 8, out + size);
    put32(out + size + 16, index | 0x80000000u);
    return good ? size + 20 : 0;
}
