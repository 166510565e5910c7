/*
 * SRTCP of viewers, opened: RFC 3711 3.4, RFC 7714 9. What is not encrypted is taken for forged.
 *
 * Opening changes nothing: whoever takes a packet notes its index, so that what is left to another
 * is no replay there. All of it is guarded by the intake's lock.
 */

enum { LP_OPENED, LP_SHORT, LP_LONG, LP_FORGED, LP_REPLAYED, LP_MANY_SSRCS };

static inline uint32_t get16(const uint8_t *from)
{
    return (uint32_t)from[0] << 8 | from[1];
}

static inline uint32_t get32(const uint8_t *from)
{
    uint32_t big;
    memcpy(&big, from, 4);
    return ntohl(big);
}

/* ---- replays (RFC 3711 3.3.2) ------------------------------------------------------------------- */

static lp_replay *replay_of(lp_opener *opener, uint32_t ssrc)
{
    for (uint32_t i = 0; i < opener->ssrcs; i++)
        if (opener->replay[i].ssrc == ssrc)
            return &opener->replay[i];
    return NULL;
}

static int replay_seen(const lp_replay *replay, uint32_t index)
{
    if (index > replay->highest)
        return 0;
    uint32_t behind = replay->highest - index;
    return behind >= LP_REPLAY_WINDOW || (replay->seen >> behind & 1);
}

/* The packet is taken. There is room: `srtcp_open` has said so. */
static void replay_note(lp_opener *opener, uint32_t ssrc, uint32_t index)
{
    lp_replay *replay = replay_of(opener, ssrc);
    if (!replay) {
        replay = &opener->replay[opener->ssrcs++];
        *replay = (lp_replay){.ssrc = ssrc, .highest = index};
    }
    if (index > replay->highest) {
        uint32_t ahead = index - replay->highest;
        replay->seen = ahead < LP_REPLAY_WINDOW ? replay->seen << ahead : 0;
        replay->highest = index;
    }
    replay->seen |= (unsigned __int128)1 << (replay->highest - index);
}

/* ---- opening ------------------------------------------------------------------------------------ */

static int gcm_open(lp_intake *intake, const lp_opener *opener, const uint8_t *packet,
                    uint32_t size, uint32_t word, uint8_t *out)
{
    uint8_t iv[12] = {0}, extra[12];
    uint8_t tag[16];
    int written, plain = (int)size - 28;
    memcpy(iv + 2, packet + 4, 4);
    put32(iv + 8, word & 0x7fffffff);
    for (int i = 0; i < 12; i++)
        iv[i] ^= opener->salt[i];
    memcpy(extra, packet, 8);
    put32(extra + 8, word);
    memcpy(tag, packet + size - 20, 16);
    return EVP_DecryptInit_ex(intake->gcm, NULL, NULL, opener->key, iv) &&
           EVP_DecryptUpdate(intake->gcm, NULL, &written, extra, 12) &&
           (!plain || EVP_DecryptUpdate(intake->gcm, out + 8, &written, packet + 8, plain)) &&
           EVP_CIPHER_CTX_ctrl(intake->gcm, EVP_CTRL_GCM_SET_TAG, 16, tag) &&
           EVP_DecryptFinal_ex(intake->gcm, out + size - 20, &written) > 0;
}

static int cm_open(lp_intake *intake, const lp_opener *opener, const uint8_t *packet,
                   uint32_t size, uint32_t word, uint8_t *out)
{
    uint8_t iv[16] = {0}, tag[10];
    int written, plain = (int)size - 22;
    hmac_tag(&opener->inner, &opener->outer, packet, size - 10, NULL, tag);
    if (CRYPTO_memcmp(tag, packet + size - 10, sizeof tag))
        return 0;
    memcpy(iv + 4, packet + 4, 4);
    put32(iv + 10, word & 0x7fffffff);
    for (int i = 0; i < 14; i++)
        iv[i] ^= opener->salt[i];
    return EVP_EncryptInit_ex(intake->ctr, NULL, NULL, opener->key, iv) &&
           (!plain || EVP_EncryptUpdate(intake->ctr, out + 8, &written, packet + 8, plain));
}

/* Opens a packet into `out`, which has room for LP_RTCP_IN_MAX bytes. Returns LP_OPENED, then with
 * the plaintext's length and the index, or why not. */
static int srtcp_open(lp_intake *intake, lp_opener *opener, const uint8_t *packet, uint32_t size,
                      uint8_t *out, uint32_t *length, uint32_t *index)
{
    uint32_t tail = opener->gcm ? 20 : 14;
    if (size < 8)
        return LP_SHORT;
    if (size > LP_RTCP_IN_MAX)
        return LP_LONG;
    const lp_replay *replay = replay_of(opener, get32(packet + 4));
    if (!replay && opener->ssrcs == LP_SSRCS_MAX)
        return LP_MANY_SSRCS;
    if (size < 8 + tail)
        return LP_FORGED;
    uint32_t word = get32(packet + size - (opener->gcm ? 4 : 14));
    *index = word & 0x7fffffff;
    *length = size - tail;
    if (!(word >> 31))
        return LP_FORGED;
    if (replay && replay_seen(replay, *index))
        return LP_REPLAYED;
    memcpy(out, packet, 8);
    int good = opener->gcm ? gcm_open(intake, opener, packet, size, word, out)
                           : cm_open(intake, opener, packet, size, word, out);
    return good ? LP_OPENED : LP_FORGED;
}
