/*
 * Kernels: their threads' beginning and end, and what they count.
 */

/* ---- kernels ------------------------------------------------------------------------------------ */

static void shard_free(lp_shard *shard)
{
    EVP_CIPHER_CTX_free(shard->rtcp_gcm);
    EVP_CIPHER_CTX_free(shard->rtcp_ctr);
    imb_manager_free(shard->imb);
    if (shard->epoll >= 0)
        close(shard->epoll);
    if (shard->event >= 0)
        close(shard->event);
    if (shard->kernel)
        pthread_mutex_destroy(&shard->lock);
    free(shard->batch);
}

static void kernel_unref(lp_kernel *kernel)
{
    if (!kernel || __atomic_sub_fetch(&kernel->refs, 1, __ATOMIC_ACQ_REL))
        return;
    for (int i = 0; i < kernel->shards; i++)
        shard_free(&kernel->shard[i]);
    EVP_CIPHER_CTX_free(kernel->intake.gcm);
    EVP_CIPHER_CTX_free(kernel->intake.ctr);
    pthread_mutex_destroy(&kernel->intake.lock);
    free(kernel);
}

static int shard_init(lp_kernel *kernel, lp_shard *shard, int number)
{
    struct epoll_event event = {.events = EPOLLIN};
    shard->kernel = kernel;
    shard->number = number;
    pthread_mutex_init(&shard->lock, NULL);
    shard->last = &shard->first;
    list_init(&shard->viewers);
    list_init(&shard->subscriptions);
    list_init(&shard->sockets);
    list_init(&shard->paced);
    shard->batch = calloc(1, sizeof *shard->batch);
    shard->epoll = epoll_create1(EPOLL_CLOEXEC);
    shard->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    shard->rtcp_gcm = EVP_CIPHER_CTX_new();
    shard->rtcp_ctr = EVP_CIPHER_CTX_new();
    if (kernel->crypto == LP_CRYPTO_AUTO)
        shard->imb = imb_manager();
    return shard->batch && shard->epoll >= 0 && shard->event >= 0 && shard->rtcp_gcm &&
           shard->rtcp_ctr &&
           EVP_EncryptInit_ex(shard->rtcp_gcm, EVP_aes_128_gcm(), NULL, NULL, NULL) &&
           EVP_EncryptInit_ex(shard->rtcp_ctr, EVP_aes_128_ctr(), NULL, NULL, NULL) &&
           !epoll_ctl(shard->epoll, EPOLL_CTL_ADD, shard->event, &event);
}

static int intake_init(lp_intake *intake)
{
    pthread_mutex_init(&intake->lock, NULL);
    intake->gcm = EVP_CIPHER_CTX_new();
    intake->ctr = EVP_CIPHER_CTX_new();
    return intake->gcm && intake->ctr &&
           EVP_DecryptInit_ex(intake->gcm, EVP_aes_128_gcm(), NULL, NULL, NULL) &&
           EVP_EncryptInit_ex(intake->ctr, EVP_aes_128_ctr(), NULL, NULL, NULL);
}

/* Signals are Python's main thread's. */
static int shard_start(lp_shard *shard)
{
    sigset_t all, before;
    char name[16];
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&shard->thread, NULL, shard_run, shard);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return 0;
    shard->started = 1;
    snprintf(name, sizeof name, "lp-fanout-%d", shard->number);
    pthread_setname_np(shard->thread, name);
    return 1;
}

/* Ends the threads; viewers get a BYE. The second time it does nothing. */
void lp_kernel_close(lp_kernel *kernel)
{
    for (int i = 0; i < kernel->shards; i++) {
        lp_shard *shard = &kernel->shard[i];
        if (!shard->kernel)
            continue;
        pthread_mutex_lock(&shard->lock);
        shard->stopping = 1;
        pthread_mutex_unlock(&shard->lock);
        if (shard->started)
            shard_wake(shard);
    }
    for (int i = 0; i < kernel->shards; i++) {
        lp_shard *shard = &kernel->shard[i];
        if (shard->started)
            pthread_join(shard->thread, NULL);
        shard->started = 0;
    }
}

void lp_kernel_release(lp_kernel *kernel)
{
    lp_kernel_close(kernel);
    kernel_unref(kernel);
}

lp_kernel *lp_kernel_new(int shards, int crypto)
{
    lp_kernel *kernel = calloc(1, sizeof *kernel + (size_t)shards * sizeof(lp_shard));
    if (!kernel)
        return NULL;
    kernel->refs = 1;
    kernel->crypto = crypto;
    kernel->shards = shards;
    for (int i = 0; i < shards; i++)
        kernel->shard[i].epoll = kernel->shard[i].event = -1;
    if (!intake_init(&kernel->intake)) {
        lp_kernel_release(kernel);
        errno = ENOMEM;
        return NULL;
    }
    for (int i = 0; i < shards; i++)
        if (!shard_init(kernel, &kernel->shard[i], i) || !shard_start(&kernel->shard[i])) {
            int error = errno;
            lp_kernel_release(kernel);
            errno = error;
            return NULL;
        }
    return kernel;
}

int lp_kernel_accelerated(const lp_kernel *kernel)
{
    return kernel->shard[0].imb != NULL;
}

void lp_shard_stats_of(const lp_kernel *kernel, int number, lp_shard_stats *out)
{
    const lp_shard *shard = &kernel->shard[number];
    const uint64_t *from = (const uint64_t *)&shard->stats;
    uint64_t *to = (uint64_t *)out;
    for (size_t i = 0; i < sizeof *out / sizeof *to; i++)
        to[i] = LP_LOAD(from[i]);
}
