#include "live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];

static void remove_directory(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", directory);
}

const char *live_pki(void)
{
    char command[4096];
    if (directory[0])
        return directory;
    snprintf(directory, sizeof(directory), "/tmp/mailmount-pki-XXXXXX");
    if (!mkdtemp(directory))
        abort();
    atexit(remove_directory);
    snprintf(command, sizeof(command), "'%s/../servers/pki.sh' '%s'", TEST_DATA_DIR, directory);
    if (system(command) != 0)
        abort();
    return directory;
}

const char *live_cert(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", live_pki(), name);
    return path;
}

struct imap_settings live_settings(const struct imapd *server)
{
    return (struct imap_settings){.host = "127.0.0.1",
                                  .port = imapd_port(server),
                                  .tls = IMAP_TLS_NONE,
                                  .user = "user",
                                  .secret = "secret",
                                  .timeout_ms = 5000,
                                  .interrupt_fd = -1};
}

int live_connect(const struct imapd *server, struct imap **ret, struct errtext *err)
{
    struct imap_settings settings = live_settings(server);
    if (imap_global_init() < 0)
        abort();
    return imap_connect(&settings, ret, err);
}

size_t live_memory(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%lu %lu", &total, &resident) != 2)
        abort();
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}
