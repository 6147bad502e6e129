#include "epoch.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "str.h"

#define BOOT_ID_MAX 64

static const char *const state_names[] = {"clean", "dirty", "damaged"};

/* "" when the kernel does not say: then no line counts as written by this boot. */
static void read_boot_id(char boot[BOOT_ID_MAX])
{
    CLEANUP_FREE char *text = NULL;
    boot[0] = '\0';
    if (file_read("/proc/sys/kernel/random/boot_id", BOOT_ID_MAX - 1, &text, NULL) < 0)
        return;
    size_t n = strcspn(text, "\n");
    memcpy(boot, text, n);
    boot[n] = '\0';
}

static int parse_line(char *line, struct epoch *epoch)
{
    char *state = strchr(line, ' ');
    char *boot = state ? strchr(state + 1, ' ') : NULL;
    uint64_t number;
    if (!boot)
        return -EINVAL;
    *state++ = '\0';
    *boot++ = '\0';
    boot[strcspn(boot, "\n")] = '\0';
    int r = parse_u64(line, EPOCH_MAX, &number);
    if (r < 0 || number == 0)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(state_names); i++) {
        if (strcmp(state, state_names[i]) != 0)
            continue;
        char now[BOOT_ID_MAX];
        read_boot_id(now);
        epoch->known = true;
        epoch->epoch = (unsigned)number;
        epoch->state = (enum epoch_state)i;
        epoch->same_boot = now[0] && strcmp(boot, now) == 0;
        return 0;
    }
    return -EINVAL;
}

int epoch_load(const char *state_dir, struct epoch *ret)
{
    struct epoch epoch = {0};
    CLEANUP_FREE char *line = NULL;
    CLEANUP_FREE char *path = str_printf("%s/epoch", state_dir);
    if (!path)
        return -ENOMEM;
    int r = file_read(path, 200, &line, NULL);
    if (r < 0 && r != -ENOENT && r != -EFBIG)
        return r;
    epoch.exists = r != -ENOENT;
    if (r == 0 && parse_line(line, &epoch) < 0)
        epoch.known = false;
    *ret = epoch;
    return 0;
}

int epoch_save(const char *state_dir, unsigned epoch, enum epoch_state state)
{
    char boot[BOOT_ID_MAX];
    read_boot_id(boot);
    CLEANUP_FREE char *line = str_printf("%u %s %s\n", epoch, state_names[state], boot);
    if (!line)
        return -ENOMEM;
    return file_replace(state_dir, "epoch", line, strlen(line));
}

unsigned epoch_random(void)
{
    uint16_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = (uint16_t)clock_wall_ns();
    return 1 + random % (EPOCH_MAX / 2);
}
