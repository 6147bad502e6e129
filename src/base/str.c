#include "str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void str_init(struct str *s, size_t max)
{
    *s = (struct str){.max = max};
}

void str_release(struct str *s)
{
    free(s->data);
    str_init(s, s->max);
}

void str_clear(struct str *s)
{
    s->len = 0;
    s->error = 0;
    if (s->data)
        s->data[0] = '\0';
}

char *str_steal(struct str *s)
{
    if (str_append(s, "", 0) < 0)
        return NULL;
    char *data = s->data;
    str_init(s, s->max);
    return data;
}

int str_error(const struct str *s)
{
    return s->error;
}

int str_reserve(struct str *s, size_t n)
{
    if (s->error)
        return s->error;
    if (s->len > s->max || n > s->max - s->len)
        return s->error = -EMSGSIZE;
    size_t need = s->len + n + 1;
    if (need <= s->alloc)
        return 0;
    size_t alloc = s->alloc ? s->alloc : 64;
    while (alloc < need)
        alloc *= 2;
    char *data = realloc(s->data, alloc);
    if (!data)
        return s->error = -ENOMEM;
    s->data = data;
    s->alloc = alloc;
    return 0;
}

int str_append(struct str *s, const void *data, size_t n)
{
    int r = str_reserve(s, n);
    if (r < 0)
        return r;
    if (n)
        memcpy(s->data + s->len, data, n);
    s->len += n;
    s->data[s->len] = '\0';
    return 0;
}

int str_append_text(struct str *s, const char *text)
{
    return str_append(s, text, strlen(text));
}

int str_append_char(struct str *s, char c)
{
    return str_append(s, &c, 1);
}

int str_printf_append(struct str *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return s->error ? s->error : (s->error = -EINVAL);
    int r = str_reserve(s, (size_t)n);
    if (r < 0)
        return r;
    va_start(args, format);
    vsnprintf(s->data + s->len, (size_t)n + 1, format, args);
    va_end(args);
    s->len += (size_t)n;
    return 0;
}
