#include "url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define URL_MAX  4096
#define HOST_MAX 253 /* RFC 1035 */

#define EXPECTED "expected imaps://USER@HOST[:PORT][/FOLDER] or imap://..."

bool url_is(const char *word)
{
    return strstr(word, "://") != NULL;
}

void url_release(struct url *url)
{
    free(url->user);
    free(url->host);
    free(url->folder);
    *url = (struct url){0};
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes n bytes.  -EINVAL: a % without two hex digits, or a control character. */
static int decode(const char *text, size_t n, char **ret)
{
    CLEANUP_FREE char *out = malloc(n + 1);
    if (!out)
        return -ENOMEM;
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = n - i > 2 ? hex_value(text[i + 1]) : -1;
            int low = n - i > 2 ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -EINVAL;
            c = high * 16 + low;
            i += 2;
        }
        if (c < ' ' || c == 0x7f)
            return -EINVAL;
        out[len++] = (char)c;
    }
    out[len] = '\0';
    *ret = steal(&out);
    return 0;
}

static int parse_scheme(const char *text, struct url *url, const char **ret_rest,
                        struct errtext *err)
{
    if (strncasecmp(text, "imaps://", 8) == 0) {
        url->tls = SETTINGS_TLS_IMPLICIT;
        url->port = 993;
        *ret_rest = text + 8;
        return 0;
    }
    if (strncasecmp(text, "imap://", 7) == 0) {
        url->tls = SETTINGS_TLS_STARTTLS;
        url->port = 143;
        *ret_rest = text + 7;
        return 0;
    }
    return err_set(err, EINVAL, "%.200s: " EXPECTED, text);
}

static int parse_user(const char *text, size_t n, struct url *url, struct errtext *err)
{
    if (n == 0)
        return err_set(err, EINVAL, "the URL has no USER: " EXPECTED);
    if (memchr(text, ':', n))
        return err_set(err, EINVAL,
                       "a password does not belong in a URL (and a `:` in USER is written %%3A); "
                       "use passcmd or passfile");
    const char *parameter = memchr(text, ';', n);
    if (parameter && strncasecmp(parameter, ";auth=", 6) == 0)
        return err_set(err, EINVAL, ";AUTH= is not understood in a URL; use the option auth=");
    int r = decode(text, n, &url->user);
    if (r == -EINVAL)
        return err_set(err, EINVAL, "USER of the URL has a wrong %%XX or a control character");
    return r < 0 ? err_set(err, -r, "out of memory") : 0;
}

static bool is_host_name(const char *host)
{
    bool label_empty = true;
    for (const char *c = host; *c; c++) {
        if (*c == '.' && label_empty)
            return false;
        label_empty = *c == '.';
        if (!isascii((unsigned char)*c) || (!isalnum((unsigned char)*c) && !strchr("-._", *c)))
            return false;
    }
    return !label_empty && host[0] != '-';
}

static int parse_host(const char *text, size_t n, bool bracketed, struct url *url,
                      struct errtext *err)
{
    struct in6_addr address;
    url->host = strndup(text, n);
    if (!url->host)
        return err_set(err, ENOMEM, "out of memory");
    for (char *c = url->host; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if (bracketed && inet_pton(AF_INET6, url->host, &address) != 1)
        return err_set(err, EINVAL, "[%.100s] is no IPv6 address", url->host);
    if (n == 0)
        return err_set(err, EINVAL, "the URL has no HOST: " EXPECTED);
    if (!bracketed && (n > HOST_MAX || !is_host_name(url->host)))
        return err_set(err, EINVAL, "`%.100s` is no host name", url->host);
    return 0;
}

static int parse_port(const char *text, size_t n, struct url *url, struct errtext *err)
{
    char digits[8] = "";
    uint64_t port = 0;
    if (n < sizeof(digits))
        memcpy(digits, text, n);
    if (n >= sizeof(digits) || parse_u64(digits, 65535, &port) < 0 || port == 0)
        return err_set(err, EINVAL, "`%.*s` is no port (1 to 65535)", (int)(n < 50 ? n : 50), text);
    url->port_is_default = port == url->port;
    url->port = (uint16_t)port;
    return 0;
}

/* HOST[:PORT] or [ADDRESS][:PORT] */
static int parse_server(const char *text, size_t n, struct url *url, struct errtext *err)
{
    bool bracketed = n > 0 && text[0] == '[';
    const char *end = bracketed ? memchr(text, ']', n) : memchr(text, ':', n);
    if (bracketed && !end)
        return err_set(err, EINVAL, "the URL has a [ without ]");
    size_t host_len = end ? (size_t)(end - text) : n;
    int r = parse_host(text + bracketed, host_len - bracketed, bracketed, url, err);
    if (r < 0)
        return r;
    const char *rest = text + host_len + bracketed;
    size_t left = n - host_len - bracketed;
    url->port_is_default = true;
    if (left == 0)
        return 0;
    if (rest[0] != ':')
        return err_set(err, EINVAL, "after ] of the URL only :PORT or /FOLDER may come");
    return parse_port(rest + 1, left - 1, url, err);
}

static bool has_odd_component(const char *path)
{
    for (const char *c = path;; c++) {
        size_t n = strcspn(c, "/");
        if (n == 0 || (n == 1 && c[0] == '.') || (n == 2 && c[0] == '.' && c[1] == '.'))
            return true;
        c += n;
        if (!*c)
            return false;
    }
}

static int parse_folder(const char *text, struct url *url, struct errtext *err)
{
    while (*text == '/')
        text++;
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == '/')
        n--;
    if (n == 0)
        return 0;
    int r = decode(text, n, &url->folder);
    if (r == -ENOMEM)
        return err_set(err, ENOMEM, "out of memory");
    if (r < 0 || has_odd_component(url->folder))
        return err_set(err, EINVAL,
                       "/FOLDER of the URL has a wrong %%XX (a %% is written %%25), "
                       "a control character, or an empty component");
    return 0;
}

int url_parse(const char *text, struct url *ret, struct errtext *err)
{
    CLEANUP(url_release) struct url url = {0};
    const char *rest;
    if (strlen(text) > URL_MAX)
        return err_set(err, EINVAL, "the URL is longer than %d bytes", URL_MAX);
    int r = parse_scheme(text, &url, &rest, err);
    if (r < 0)
        return r;
    size_t n = strcspn(rest, "/");
    const char *at = memrchr(rest, '@', n);
    if (!at)
        return err_set(err, EINVAL, "%.200s: USER@ is missing; " EXPECTED, text);
    r = parse_user(rest, (size_t)(at - rest), &url, err);
    if (r == 0)
        r = parse_server(at + 1, n - (size_t)(at + 1 - rest), &url, err);
    if (r == 0)
        r = parse_folder(rest + n, &url, err);
    if (r < 0)
        return r;
    *ret = url;
    url = (struct url){0};
    return 0;
}

bool url_host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcasecmp(host, "localhost") == 0;
}
