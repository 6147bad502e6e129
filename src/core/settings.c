#include "settings.h"

#include <string.h>

void settings_release(struct settings *settings)
{
    char **const texts[] = {
        &settings->account, &settings->slug,      &settings->host,      &settings->user,
        &settings->folder,  &settings->passcmd,   &settings->passfile,  &settings->auth,
        &settings->cafile,  &settings->cache_dir, &settings->state_dir, &settings->fuse_options,
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(*texts[i]);
    if (settings->insecure_password)
        explicit_bzero(settings->insecure_password, strlen(settings->insecure_password));
    free(settings->insecure_password);
    for (char **glob = settings->folders; glob && *glob; glob++)
        free(*glob);
    free(settings->folders);
    *settings = (struct settings){0};
}
