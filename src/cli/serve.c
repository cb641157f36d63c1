/*
 * `stepgate dev` and `stepgate start`: the same server, with or without keys.
 *
 * The model. Options become a struct sg_node_options, the node is made, then this thread waits for a signal while the node's threads work. All
 * signals are blocked before the first thread is made, so they arrive here and nowhere else.
 */
#include "cli/command.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <ifaddrs.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stepgate/crypto.h>

#include "base/check.h"
#include "base/log.h"
#include "base/os_disk.h"
#include "cli/notify.h"
#include "node/node.h"
#include "sdk/url.h"

/* "STEPGATE_SIGNING_KEY_FALLBACK", with room. */
#define SOURCE_BYTES 64
/* systemd waits this much longer than our own deadline before it kills. */
#define STOP_EXTRA_MS 15000
/* dev looks for a free port this far. */
#define DEV_PORT_TRIES 100
#define START_DATA_DIR "/var/lib/stepgate"
#define LOCAL_DATA_DIR ".stepgate"
/* Database, log, readers, epoll, timers. */
#define OTHER_FILES 64
/* Memory of this size is the system's again when it is freed; what is smaller stays in the heap. */
#define LARGE_BYTES (256 * 1024)
#define HEAP_SPARE_BYTES (1024 * 1024)

static enum sg_status read_keys(const struct sg_options *options, struct sg_signing_key keys[2], size_t *count, struct sg_error *error);
static void name_source(const struct sg_options *options, enum sg_option_id id, char name[SOURCE_BYTES]);
static enum sg_status check(const struct sg_options *options, struct sg_error *error);
static enum sg_status check_urls(const struct sg_options *options, struct sg_error *error);
static const char *data_dir(const struct sg_options *options);
static void fill(const struct sg_options *options, struct sg_node_options *node);
static int serve(const struct sg_options *options, const struct sg_node_options *node_options);
static void raise_file_limit(const struct sg_node_options *options);
static void return_large_memory(void);
static void warn_about_environment(const struct sg_options *options);
static void warn_about_data(const struct sg_node_options *options);
static void warn_about_openness(const struct sg_node_options *options);
static void print_banner(const struct sg_node_options *options, int port);

int sg_command_serve(struct sg_options *options)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_signing_key keys[2];
    size_t key_count = 0;
    struct sg_node_options node_options = {0};

    if (options->operand_count > 0)
        return sg_complain("\"%s\" is not a flag; an app is given as --sdk-url URL", options->operands[0]);
    enum sg_status status = check(options, &error);
    if (status == SG_OK)
        status = read_keys(options, keys, &key_count, &error);
    if (status != SG_OK)
        return sg_complain("%s", error.message);

    fill(options, &node_options);
    node_options.keys = keys;
    node_options.key_count = key_count;
    /* SDKs decide by this whether they talk to a server that signs (reference/03 §0.3). */
    node_options.server_kind = options->command == SG_COMMAND_DEV && key_count == 0 ? "dev" : "cloud";
    warn_about_environment(options);
    int code = serve(options, &node_options);
    for (size_t i = 0; i < key_count; i++)
        sg_signing_key_wipe(&keys[i]);
    return code;
}

static enum sg_status check(const struct sg_options *options, struct sg_error *error)
{
    if (sg_options_text(options, SG_OPTION_POSTGRES_URI) != NULL)
        return sg_error_set(error, SG_NOT_SUPPORTED, "--postgres-uri: this version keeps its data in SQLite only (--data-dir)");
    enum sg_status status = check_urls(options, error);
    if (status != SG_OK || options->command != SG_COMMAND_START)
        return status;
    if (sg_options_text(options, SG_OPTION_SIGNING_KEY) == NULL)
        return sg_error_set(error, SG_INVALID_CONFIG,
                            "a signing key is required: --signing-key KEY, or INNGEST_SIGNING_KEY; openssl rand -hex 32 makes one");
    if (options->values[SG_OPTION_EVENT_KEY].count == 0)
        return sg_error_set(error, SG_INVALID_CONFIG,
                            "an event key is required: --event-key KEY, or INNGEST_EVENT_KEY; openssl rand -hex 16 makes one");
    return SG_OK;
}

/* What cannot be an app's address is refused now; a missing scheme is added later. */
static enum sg_status check_urls(const struct sg_options *options, struct sg_error *error)
{
    const struct sg_option_value *urls = &options->values[SG_OPTION_SDK_URL];
    for (size_t i = 0; i < urls->count; i++) {
        struct sg_url url;
        struct sg_buf whole = {0};
        sg_url_normalise_typed(urls->items[i], &whole);
        bool is_good = !whole.is_failed && sg_url_parse(sg_buf_str(&whole), &url) && sg_url_is_http(&url);
        sg_buf_free(&whole);
        if (!is_good)
            return sg_error_set(error, SG_INVALID_CONFIG,
                                "--sdk-url: \"%.200s\" is not an http or https URL such as http://localhost:3000/api/inngest",
                                urls->items[i].ptr);
    }
    return SG_OK;
}

static enum sg_status read_keys(const struct sg_options *options, struct sg_signing_key keys[2], size_t *count, struct sg_error *error)
{
    static const enum sg_option_id ids[] = {SG_OPTION_SIGNING_KEY, SG_OPTION_SIGNING_KEY_FALLBACK};
    for (size_t i = 0; i < SG_ARRAY_LEN(ids); i++) {
        const char *text = sg_options_text(options, ids[i]);
        if (text == NULL)
            continue;
        char name[SOURCE_BYTES];
        name_source(options, ids[i], name);
        if (i == 1 && *count == 0)
            return sg_error_set(error, SG_INVALID_CONFIG, "%s needs a --signing-key beside it", name);
        enum sg_status status = sg_signing_key_parse(sg_str_from(text), name, &keys[*count], error);
        if (status != SG_OK)
            return status;
        ++*count;
    }
    return SG_OK;
}

/* Where a value stands, as its owner would look for it: the flag, or the variable of the environment. */
static void name_source(const struct sg_options *options, enum sg_option_id id, char name[SOURCE_BYTES])
{
    static const char *const prefixes[] = {"STEPGATE_", "INNGEST_"};
    const char *flag = sg_option_info(id)->name;

    for (size_t i = 0; i < SG_ARRAY_LEN(prefixes) && options->values[id].source == SG_SOURCE_ENVIRONMENT; i++) {
        size_t len = (size_t)snprintf(name, SOURCE_BYTES, "%s%s", prefixes[i], flag);
        for (size_t at = strlen(prefixes[i]); at < len && at < SOURCE_BYTES; at++)
            name[at] = name[at] == '-' ? '_' : (char)toupper((unsigned char)name[at]);
        const char *value = getenv(name);
        if (value != NULL && value[0] != '\0')
            return;
    }
    snprintf(name, SOURCE_BYTES, "--%s", flag);
}

/* --data-dir, --sqlite-dir, or the default of the command. */
static const char *data_dir(const struct sg_options *options)
{
    const char *named = sg_options_text(options, SG_OPTION_DATA_DIR);
    if (named == NULL)
        named = sg_options_text(options, SG_OPTION_SQLITE_DIR);
    if (named != NULL)
        return named;
    if (options->command == SG_COMMAND_START && (mkdir(START_DATA_DIR, 0700) == 0 || errno == EEXIST) && access(START_DATA_DIR, W_OK) == 0)
        return START_DATA_DIR;
    return LOCAL_DATA_DIR;
}

static void fill(const struct sg_options *options, struct sg_node_options *node)
{
    bool is_dev = options->command == SG_COMMAND_DEV;
    const char *port_extra = getenv("PORT");
    int64_t number = 0;
    bool has_port_extra = port_extra != NULL && sg_str_to_int(sg_str_from(port_extra), &number) && number > 0 && number < 65536;

    node->data_dir = data_dir(options);
    node->host = sg_options_text(options, SG_OPTION_HOST);
    node->port = (int)sg_options_int(options, SG_OPTION_PORT);
    node->port_tries = is_dev ? DEV_PORT_TRIES : 1;
    node->is_dev = is_dev;
    node->name = is_dev ? "dev server" : "server";
    node->event_keys = options->values[SG_OPTION_EVENT_KEY].items;
    node->event_key_count = options->values[SG_OPTION_EVENT_KEY].count;
    node->urls = options->values[SG_OPTION_SDK_URL].items;
    node->url_count = options->values[SG_OPTION_SDK_URL].count;
    node->discovers = is_dev && !sg_options_bool(options, SG_OPTION_NO_DISCOVERY);
    /* A self-hosted server only asks apps in error again (reference/03 §2.5). */
    node->polls = is_dev && !sg_options_bool(options, SG_OPTION_NO_POLL);
    node->poll_interval_ms = sg_options_int(options, SG_OPTION_POLL_INTERVAL);
    node->retry_interval_ms = sg_options_int(options, SG_OPTION_RETRY_INTERVAL);
    node->port_extra = has_port_extra ? (int)number : 0;
    node->shutdown_timeout_ms = sg_options_int(options, SG_OPTION_SHUTDOWN_TIMEOUT);
    node->event_bytes_max = sg_options_int(options, SG_OPTION_MAX_EVENT_BYTES);
    node->body_bytes_max = sg_options_int(options, SG_OPTION_MAX_BODY_BYTES);
    node->connections_max = (int)sg_options_int(options, SG_OPTION_MAX_CONNECTIONS);
    node->http_request_ms = sg_options_int(options, SG_OPTION_HTTP_REQUEST_TIMEOUT);
    node->http_idle_ms = sg_options_int(options, SG_OPTION_HTTP_IDLE_TIMEOUT);
    node->steps_per_run_max = (int)sg_options_int(options, SG_OPTION_MAX_STEPS);
    node->call_timeout_ms = sg_options_int(options, SG_OPTION_CALL_TIMEOUT);
    node->endpoint_timeout_ms = sg_options_int(options, SG_OPTION_ENDPOINT_TIMEOUT);
    node->waiting_clients_max = (int)sg_options_int(options, SG_OPTION_MAX_WAITING_CLIENTS);
    node->connections_per_app_max = (int)sg_options_int(options, SG_OPTION_MAX_CONNECTIONS_PER_APP);
    node->calls_per_app_max = (int)sg_options_int(options, SG_OPTION_MAX_CALLS_PER_APP);
    if (node->calls_per_app_max < node->connections_per_app_max)
        node->calls_per_app_max = node->connections_per_app_max;
    node->calls_max = (int)sg_options_int(options, SG_OPTION_MAX_CALLS);
    node->fetches_max = (int)sg_options_int(options, SG_OPTION_MAX_FETCHES);
    node->allows_private_fetch = sg_options_bool(options, SG_OPTION_ALLOW_PRIVATE_FETCH);
    node->messages_per_batch_max = (int)sg_options_int(options, SG_OPTION_MAX_BATCH);
    node->inbox_messages_max = sg_options_int(options, SG_OPTION_MAX_INBOX);
    node->inbox_bytes_max = sg_options_int(options, SG_OPTION_MAX_INBOX_BYTES);
    node->retention_ms = sg_options_int(options, SG_OPTION_RETENTION);
    node->retention_bytes = sg_options_int(options, SG_OPTION_RETENTION_BYTES);
    node->reader_threads = (int)sg_options_int(options, SG_OPTION_READER_THREADS);
}

static int serve(const struct sg_options *options, const struct sg_node_options *node_options)
{
    raise_file_limit(node_options);
    return_large_memory();
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    struct sg_error error = {.status = SG_OK};
    struct sg_node *node = NULL;
    if (sg_node_create(node_options, &node, &error) != SG_OK)
        return sg_complain("%s", error.message);
    warn_about_data(node_options);
    warn_about_openness(node_options);
    (void)sg_notify("READY=1");
    if (isatty(STDOUT_FILENO))
        print_banner(node_options, sg_node_port(node));

    int number = 0;
    while (sigwait(&signals, &number) != 0)
        continue;
    /* A second signal means it: the default action, which loses nothing that was acknowledged. */
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    bool is_abrupt = options->command == SG_COMMAND_DEV && number == SIGINT;
    sg_log(SG_LOG_INFO, "stopping", SG_KV_TEXT("signal", number == SIGINT ? "SIGINT" : number == SIGTERM ? "SIGTERM" : "SIGHUP"));
    int64_t drain_ms = is_abrupt ? 0 : node_options->shutdown_timeout_ms;
    char state[96];
    snprintf(state, sizeof(state), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld", (long long)(drain_ms + STOP_EXTRA_MS) * 1000);
    (void)sg_notify(state);
    sg_node_stop(node, drain_ms);
    sg_node_free(node);
    return 0;
}

/*
 * Bodies of megabytes go back to the system when they are freed. Left to itself the GNU C library raises the size from which that is so with
 * every large piece that is freed, up to 32 MiB, and then one large state makes every thread's heap that much larger for ever.
 */
static void return_large_memory(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_SPARE_BYTES); /* or the line above would lower it to 128 KiB */
#endif
}

/* Many systems start programs with 1024 open files, but let them have more if they ask. */
static void raise_file_limit(const struct sg_node_options *options)
{
    rlim_t wanted = (rlim_t)options->connections_max + (rlim_t)options->waiting_clients_max + (rlim_t)options->calls_max +
                    (rlim_t)options->fetches_max + OTHER_FILES;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        sg_log(SG_LOG_WARN, "the system allows fewer open files than connections; clients beyond that wait",
               SG_KV_INT("allowed", limit.rlim_cur), SG_KV_INT("wanted", wanted),
               SG_KV_TEXT("remedy", "ulimit -n, LimitNOFILE=, or a smaller --max-connections"));
}

static void warn_about_environment(const struct sg_options *options)
{
    static const char *const names[] = {"INNGEST_SIGNING_KEY", "INNGEST_EVENT_KEY"};
    for (size_t i = 0; i < SG_ARRAY_LEN(names) && options->command == SG_COMMAND_DEV; i++)
        if (getenv(names[i]) != NULL)
            sg_log(SG_LOG_INFO,
                   "a variable of the environment is meant for SDKs and not read by dev; STEPGATE_ in place of INNGEST_ would be",
                   SG_KV_TEXT("name", names[i]));
}

/* Production data in a place that does not last, or where locks do not hold, is the mistake that is noticed last. */
static void warn_about_data(const struct sg_node_options *options)
{
    struct sg_disk disk;
    if (options->is_dev || !sg_disk_read(options->data_dir, &disk))
        return;
    if (disk.is_ephemeral)
        sg_log(SG_LOG_WARN, "the data directory is ephemeral: what it holds is gone after a reboot, or with the container",
               SG_KV_TEXT("data", options->data_dir), SG_KV_TEXT("file_system", disk.kind),
               SG_KV_TEXT("remedy", "--data-dir on a disk; in a container, a volume mounted there"));
    if (disk.is_remote)
        sg_log(SG_LOG_WARN, "the data directory is on another machine, where locks and syncs may not hold",
               SG_KV_TEXT("data", options->data_dir), SG_KV_TEXT("file_system", disk.kind),
               SG_KV_TEXT("remedy", "--data-dir on a local disk"));
}

/* Once, and only when it is true: open to others and without a key (reference/11 §9). */
static void warn_about_openness(const struct sg_node_options *options)
{
    const char *host = options->host;
    bool is_loopback = host != NULL && (strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strcmp(host, "localhost") == 0);
    if (options->key_count > 0 || is_loopback)
        return;
    sg_log(SG_LOG_WARN, "everybody who can reach this port may send events and read what runs returned: there is no signing key",
           SG_KV_TEXT("host", host != NULL ? host : "all interfaces"), SG_KV_TEXT("remedy", "--host 127.0.0.1, or --signing-key"));
}

static void print_banner(const struct sg_node_options *options, int port)
{
    const char *host = options->host != NULL ? options->host : "0.0.0.0";
    printf("\n  stepgate %s online at %s:%d, visible at the following URLs:\n\n", options->name, host, port);
    if (options->host != NULL) {
        printf("   - http://%s%s%s:%d\n", strchr(host, ':') != NULL ? "[" : "", host, strchr(host, ':') != NULL ? "]" : "", port);
    } else {
        struct ifaddrs *addresses = NULL;
        if (getifaddrs(&addresses) != 0)
            addresses = NULL;
        for (struct ifaddrs *entry = addresses; entry != NULL; entry = entry->ifa_next) {
            if (entry->ifa_addr == NULL || entry->ifa_addr->sa_family != AF_INET || (entry->ifa_flags & IFF_UP) == 0)
                continue;
            char text[INET_ADDRSTRLEN];
            struct sockaddr_in address;
            memcpy(&address, entry->ifa_addr, sizeof(address));
            if (inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text)) != NULL)
                printf("   - http://%s:%d\n", text, port);
        }
        if (addresses != NULL)
            freeifaddrs(addresses);
    }
    printf("\n");
    if (options->discovers)
        printf("  Looking for apps on the usual local ports; --no-discovery turns that off.\n");
    if (options->is_dev && options->key_count == 0)
        printf("  No signing key: requests are not signed, and everybody who can connect may send.\n");
    printf("\n");
    (void)fflush(stdout);
}
