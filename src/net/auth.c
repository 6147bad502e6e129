/*
 * DESIGN.  One attempt is made with the strongest mechanism that both sides know; a refusal ends
 * it.  Falling to a weaker one after a refusal would hammer the server and hand the password to
 * it in the clear where the stronger one did not.  Only a mechanism that fails on our side before
 * a byte is sent (no SASL module installed) makes way for the next.
 *
 * PLAIN and LOGIN carry the password as it is: this is safe because every stream is inside TLS or
 * goes to this machine (stream.c refuses anything else).
 */
#include "auth.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <libetpan/libetpan.h>
#include <sasl/sasl.h>
#include <sasl/saslutil.h>

#include "guard.h"

static const unsigned default_order[] = {MECH_SCRAM_SHA_256, MECH_SCRAM_SHA_1, MECH_PLAIN,
                                         MECH_LOGIN};
#define ORDER_MAX 8

/* ---- global state */

static void *mutex_new(void)
{
    pthread_mutex_t *mutex = malloc(sizeof(*mutex));
    if (mutex)
        pthread_mutex_init(mutex, NULL);
    return mutex;
}

static int mutex_lock(void *mutex)
{
    return pthread_mutex_lock(mutex) == 0 ? SASL_OK : SASL_FAIL;
}

static int mutex_unlock(void *mutex)
{
    return pthread_mutex_unlock(mutex) == 0 ? SASL_OK : SASL_FAIL;
}

static void mutex_free(void *mutex)
{
    if (mutex)
        pthread_mutex_destroy(mutex);
    free(mutex);
}

/* cyrus-sasl would write to syslog. */
static int log_nothing(void *context, int level, const char *message)
{
    (void)context;
    (void)level;
    (void)message;
    return SASL_OK;
}

int auth_global_init(void)
{
    static const sasl_callback_t callbacks[] = {
        {SASL_CB_LOG, (int (*)(void))(void (*)(void))log_nothing, NULL},
        {SASL_CB_LIST_END, NULL, NULL},
    };
    /* Without this its mutexes do nothing.  libetpan counts its own uses of the library under a
     * lock and calls sasl_client_init again, which only counts. */
    sasl_set_mutex(mutex_new, mutex_lock, mutex_unlock, mutex_free);
    mailstream_debug = 0;
    mailstream_logger = NULL;
    mailstream_logger_id = NULL;
    return sasl_client_init(callbacks) == SASL_OK ? 0 : -EIO;
}

/* ---- capabilities and STARTTLS */

static int ask_capabilities(struct guard *guard)
{
    int r = guard_command(guard, "CAPABILITY", NULL);
    if (r < 0)
        return r;
    if (!guard->ok)
        return stream_fail(&guard->im->stream, guard->im->stream.trusted ? EPROTO : EKEYREJECTED,
                           "the server refuses to tell its capabilities: %s", guard->text.text);
    guard->im->caps.known = true; /* even when it told nothing */
    return 0;
}

static int starttls(struct guard *guard)
{
    struct imap *im = guard->im;
    int r = im->caps.known ? 0 : ask_capabilities(guard);
    if (r < 0)
        return r;
    if (!im->caps.starttls)
        return stream_fail(&im->stream, EKEYREJECTED,
                           "TLS refused: the server does not offer STARTTLS");
    guard_begin(guard);
    r = mailimap_starttls(guard->session);
    if (im->stream.error)
        return im->stream.error;
    if (!guard->tagged || !guard->ok)
        return stream_fail(&im->stream, EKEYREJECTED, "TLS refused: STARTTLS failed");
    /* What came in the clear behind the OK would count as said inside TLS. */
    if (reader_buffered(&im->in) > 0 || guard->session->imap_stream->read_buffer_len > 0)
        return stream_fail(&im->stream, EKEYREJECTED,
                           "TLS refused: the server goes on in the clear after STARTTLS");
    r = stream_start_tls(&im->stream);
    im->caps = (struct caps){0};
    return r;
}

/* ---- mechanisms */

static int authenticate(struct guard *guard, const struct imap_settings *settings,
                        unsigned mechanism)
{
    static const char *const sasl_names[][2] = {
        {"scram-sha-256", "SCRAM-SHA-256"},
        {"scram-sha-1", "SCRAM-SHA-1"},
        {"plain", "PLAIN"},
        {"login", "LOGIN"},
        {"cram-md5", "CRAM-MD5"},
    };
    const char *name = "";
    for (size_t i = 0; i < ARRAY_LEN(sasl_names); i++)
        if (strcmp(sasl_names[i][0], mechanism_name(mechanism)) == 0)
            name = sasl_names[i][1];
    guard_begin(guard);
    bool scram = mechanism == MECH_SCRAM_SHA_256 || mechanism == MECH_SCRAM_SHA_1;
    guard->empty_first = scram || mechanism == MECH_PLAIN;
    uint64_t before = guard->im->stream.bytes_up;
    /* login: the identity to act as, none; auth_name: whose password it is. */
    mailimap_authenticate(guard->session, name, guard->im->stream.host, NULL, NULL, "",
                          settings->user, settings->secret, NULL);
    struct stream *stream = &guard->im->stream;
    if (stream->error)
        return stream->error;
    if (!guard->tagged && stream->bytes_up == before)
        return -ENOTSUP;
    if (!guard->tagged)
        return stream_fail(stream, EKEYEXPIRED,
                           "login failed: %s did not work out with this server%s", name,
                           scram ? " (it may not know the password itself)" : "");
    /* The second real challenge of SCRAM is the server's proof; cyrus-sasl has checked it. */
    if (guard->ok && scram && guard->handed_on < 2)
        return stream_fail(stream, EKEYEXPIRED,
                           "login stopped: the server did not prove that it knows the password");
    return 0;
}

static bool needs_literal(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f)
            return true;
    return false;
}

static void append_quoted(struct str *out, const char *text)
{
    str_append_char(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            str_append_char(out, '\\');
        str_append_char(out, *text);
    }
    str_append_char(out, '"');
}

static void str_wipe(struct str *text)
{
    if (text->data)
        explicit_bzero(text->data, text->alloc);
    str_release(text);
}

/* A growing string leaves copies of the secret behind: take the memory first. */
static int secret_reserve(struct guard *guard, struct str *text, const char *a, const char *b)
{
    size_t n = 2 * (strlen(a) + strlen(b)) + 600;
    return str_reserve(text, n) < 0 ? stream_fail(&guard->im->stream, ENOMEM, "out of memory") : 0;
}

static int login_command(struct guard *guard, const struct imap_settings *settings)
{
    CLEANUP(str_wipe) struct str command = STR_INIT(65536);
    CLEANUP(str_wipe) struct str first = STR_INIT(65536);
    const char *answers[3] = {NULL};
    int r = secret_reserve(guard, &command, settings->user, settings->secret);
    if (r == 0)
        r = secret_reserve(guard, &first, settings->user, "");
    if (r < 0)
        return r;
    if (needs_literal(settings->user) || needs_literal(settings->secret)) {
        str_printf_append(&command, "LOGIN {%zu}", strlen(settings->user));
        str_printf_append(&first, "%s {%zu}", settings->user, strlen(settings->secret));
        answers[0] = first.data;
        answers[1] = settings->secret;
    } else {
        str_append_text(&command, "LOGIN ");
        append_quoted(&command, settings->user);
        str_append_char(&command, ' ');
        append_quoted(&command, settings->secret);
    }
    if (str_error(&command) < 0 || str_error(&first) < 0)
        return stream_fail(&guard->im->stream, ENOMEM, "out of memory");
    return guard_command(guard, command.data, answers);
}

/* RFC 7628 and, for the name, RFC 5801 section 4. */
static int oauthbearer(struct guard *guard, const struct imap_settings *settings)
{
    CLEANUP(str_wipe) struct str message = STR_INIT(65536);
    CLEANUP(str_wipe) struct str encoded = STR_INIT(131072);
    int r = secret_reserve(guard, &message, settings->user, settings->secret);
    if (r < 0)
        return r;
    str_append_text(&message, "n,a=");
    for (const char *c = settings->user; *c; c++) {
        if (*c == ',' || *c == '=')
            str_append_text(&message, *c == ',' ? "=2C" : "=3D");
        else
            str_append_char(&message, *c);
    }
    str_printf_append(&message, ",\1host=%s\1port=%u\1auth=Bearer ", guard->im->stream.host,
                      settings->port);
    str_append_text(&message, settings->secret);
    str_append_text(&message, "\1\1");
    unsigned len = 0;
    if (str_error(&message) < 0 || str_reserve(&encoded, message.len * 2 + 8) < 0 ||
        sasl_encode64(message.data, (unsigned)message.len, encoded.data,
                      (unsigned)(message.len * 2 + 8), &len) != SASL_OK)
        return stream_fail(&guard->im->stream, ENOMEM, "out of memory");
    /* The second `+` brings the reason of a failure and wants an empty answer. */
    const char *answers[] = {encoded.data, "AQ==", NULL};
    return guard_command(guard, "AUTHENTICATE OAUTHBEARER", answers);
}

static int xoauth2(struct guard *guard, const struct imap_settings *settings)
{
    guard_begin(guard);
    mailimap_oauth2_authenticate(guard->session, settings->user, settings->secret);
    if (guard->im->stream.error)
        return guard->im->stream.error;
    return guard->tagged
               ? 0
               : stream_fail(&guard->im->stream, EPROTO, "no answer to AUTHENTICATE XOAUTH2");
}

/* 0: the server has answered; -ENOTSUP: not possible here, nothing was sent. */
static int attempt(struct guard *guard, const struct imap_settings *settings, unsigned mechanism,
                   const struct caps *offered)
{
    int r;
    switch (mechanism) {
    case MECH_OAUTHBEARER:
        return oauthbearer(guard, settings);
    case MECH_XOAUTH2:
        return xoauth2(guard, settings);
    case MECH_LOGIN:
        r = offered->mechanisms & MECH_LOGIN ? authenticate(guard, settings, mechanism) : -ENOTSUP;
        if (r == -ENOTSUP && !offered->login_disabled)
            r = login_command(guard, settings);
        return r;
    default:
        return authenticate(guard, settings, mechanism);
    }
}

static bool is_offered(const struct caps *caps, unsigned mechanism)
{
    if (mechanism == MECH_LOGIN && !caps->login_disabled)
        return true;
    return (caps->mechanisms & mechanism) != 0;
}

/* The mechanisms to try, best first.  `auth` is a name or several with commas between them. */
static int choose_order(struct imap *im, const char *auth, unsigned order[ORDER_MAX], size_t *ret)
{
    size_t n = 0;
    if (!auth || !*auth) {
        memcpy(order, default_order, sizeof(default_order));
        *ret = ARRAY_LEN(default_order);
        return 0;
    }
    for (const char *p = auth; n < ORDER_MAX;) {
        const char *comma = strchrnul(p, ',');
        order[n] = mechanism_by_name((struct span){p, (size_t)(comma - p)});
        if (order[n++] == 0)
            return stream_fail(&im->stream, ENOTSUP, "auth=%.100s is not supported", auth);
        if (!*comma)
            break;
        p = comma + 1;
    }
    *ret = n;
    return 0;
}

static int refused(struct guard *guard, unsigned mechanism)
{
    const char *name = mechanism_name(mechanism);
    const char *text = guard->text.text[0] ? guard->text.text : "no reason given";
    if (status_of_code(guard->code) == -EAGAIN)
        return stream_fail(&guard->im->stream, EAGAIN, "login refused for now: %s [%s]", text,
                           guard->code);
    if (strcmp(guard->code, "PRIVACYREQUIRED") == 0)
        return stream_fail(&guard->im->stream, EKEYREJECTED, "login refused without TLS: %s", text);
    return stream_fail(&guard->im->stream, EKEYEXPIRED, "login refused (%s): %s%s%s%s", name, text,
                       guard->code[0] ? " [" : "", guard->code, guard->code[0] ? "]" : "");
}

static int log_in(struct guard *guard, const struct imap_settings *settings)
{
    struct imap *im = guard->im;
    struct caps offered = im->caps;
    unsigned order[ORDER_MAX];
    size_t n = 0;
    int r = choose_order(im, settings->auth, order, &n);
    if (r < 0)
        return r;
    bool no_module = false;
    for (size_t i = 0; i < n; i++) {
        if (!is_offered(&offered, order[i]))
            continue;
        im->caps = (struct caps){0}; /* what was true before the login need not be after it */
        r = attempt(guard, settings, order[i], &offered);
        if (r == -ENOTSUP && !im->stream.error) {
            no_module = true;
            continue;
        }
        if (r < 0)
            return r;
        im->mechanism = order[i];
        return guard->ok ? 0 : refused(guard, order[i]);
    }
    if (no_module)
        return stream_fail(&im->stream, ENOTSUP,
                           "the SASL library has no module for this login (libsasl2-modules)");
    char names[200];
    mechanism_names(offered.mechanisms, names, sizeof(names));
    return stream_fail(&im->stream, EKEYEXPIRED, "no way to log in%s%s: the server offers %s%s",
                       settings->auth ? " by " : "", settings->auth ? settings->auth : "", names,
                       offered.login_disabled ? " and LOGINDISABLED" : "");
}

static int run(struct guard *guard, const struct imap_settings *settings)
{
    struct imap *im = guard->im;
    if (!settings->user || !settings->secret || strpbrk(settings->user, "\r\n") ||
        strpbrk(settings->secret, "\r\n"))
        return stream_fail(&im->stream, EKEYEXPIRED,
                           "the user name or the password is missing or holds a line break");
    int r = guard_greet(guard);
    if (r == 0 && settings->tls == IMAP_TLS_STARTTLS)
        r = starttls(guard);
    if (r == 0 && !im->caps.known)
        r = ask_capabilities(guard);
    if (r == 0)
        r = log_in(guard, settings);
    if (r == 0 && !im->caps.known)
        r = ask_capabilities(guard);
    return r;
}

int auth_login(struct imap *im, const struct imap_settings *settings)
{
    struct guard *guard = malloc(sizeof(*guard));
    if (!guard)
        return stream_fail(&im->stream, ENOMEM, "out of memory");
    int r = guard_init(guard, im);
    if (r == 0)
        r = run(guard, settings);
    guard_release(guard);
    free(guard);
    return r;
}
