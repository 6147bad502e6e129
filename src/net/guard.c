#include "guard.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libetpan/libetpan.h>

/* ---- lines from the server */

static int nonsense(struct guard *guard, const char *text)
{
    return conn_nonsense(guard->im, text);
}

/* The line that libetpan gets to read next. */
static void hand_on(struct guard *guard, const char *start, struct span text)
{
    int n =
        snprintf(guard->line, sizeof(guard->line), "%s %.*s\r\n", start, (int)text.len, text.data);
    guard->line_len = n > 0 ? (size_t)n : 0;
    guard->line_pos = 0;
}

static void keep_text(struct guard *guard, struct span line)
{
    struct span code, args, text;
    split_text(line, &code, &args, &text);
    failure_fill(&guard->im->failure, code, text, guard->im->stream.trusted);
    memcpy(guard->code, guard->im->failure.code, sizeof(guard->code));
    if (span_is(code, "CAPABILITY"))
        caps_parse(&guard->im->caps, args);
    guard->text.text[0] = '\0';
    if (guard->im->stream.trusted)
        clean_text(text, guard->text.text, 300);
}

static int take_bye(struct guard *guard, struct span line)
{
    keep_text(guard, line);
    return stream_fail(&guard->im->stream, ECONNRESET, "the server said goodbye: %s",
                       guard->text.text[0] ? guard->text.text : "(not shown without TLS)");
}

/* At what follows `* `. */
static int take_greeting(struct guard *guard)
{
    struct reader *in = &guard->im->in;
    struct span word = reader_word(in, "");
    if (span_is(word, "BYE"))
        return take_bye(guard, reader_rest(in));
    if (span_is(word, "PREAUTH")) {
        if (!guard->im->stream.trusted)
            return stream_fail(&guard->im->stream, EKEYREJECTED,
                               "refused: the server wants to skip TLS (PREAUTH)");
        return nonsense(guard, "the server claims that we are logged in already (PREAUTH)");
    }
    if (!span_is(word, "OK"))
        return nonsense(guard, "this is no IMAP server");
    keep_text(guard, reader_rest(in));
    guard->greeted = true;
    hand_on(guard, "* OK", (struct span){"hello", 5});
    return 0;
}

static int take_untagged(struct guard *guard)
{
    struct reader *in = &guard->im->in;
    if (++guard->lines > GUARD_LINES_MAX)
        return nonsense(guard, "the server talks without end before the login");
    reader_spaces(in);
    if (!guard->greeted)
        return take_greeting(guard);
    struct span word = reader_word(in, "");
    reader_spaces(in);
    if (span_is(word, "CAPABILITY"))
        caps_parse(&guard->im->caps, reader_rest(in));
    else if (span_is(word, "BYE"))
        return take_bye(guard, reader_rest(in));
    else if (span_is(word, "OK")) {
        struct span code, args, text;
        split_text(reader_rest(in), &code, &args, &text);
        if (span_is(code, "CAPABILITY"))
            caps_parse(&guard->im->caps, args);
        if (span_is(code, "ALERT") && guard->im->stream.trusted) {
            failure_fill(&guard->im->alert, code, text, true);
            guard->im->has_alert = true;
        }
    }
    return 0;
}

static bool is_base64(struct span text)
{
    size_t n = text.len;
    if (n == 0 || n % 4 != 0)
        return false;
    while (n > 0 && text.len - n < 2 && text.data[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '+' && c != '/')
            return false;
    }
    return true;
}

static int answer_challenge(struct guard *guard)
{
    const char *answer = guard->answers[guard->answered];
    if (!answer)
        return nonsense(guard, "the server asks for more than there is to say");
    guard->answered++;
    int r = stream_write(&guard->im->stream, answer, strlen(answer));
    return r < 0 ? r : stream_write(&guard->im->stream, "\r\n", 2);
}

static int take_challenge(struct guard *guard)
{
    struct reader *in = &guard->im->in;
    if (++guard->challenges > GUARD_CHALLENGES_MAX)
        return nonsense(guard, "the server does not stop asking for the login");
    if (guard->answers[0])
        return guard->answered < ARRAY_LEN(guard->answers)
                   ? answer_challenge(guard)
                   : nonsense(guard, "the server asks for more than there is to say");
    reader_spaces(in);
    struct span text = reader_rest(in);
    if (!is_base64(text) || (guard->challenges == 1 && guard->empty_first))
        text.len = 0;
    guard->handed_on += text.len > 0;
    hand_on(guard, "+", text);
    return 0;
}

static int take_tagged(struct guard *guard)
{
    struct reader *in = &guard->im->in;
    char tag[16];
    snprintf(tag, sizeof(tag), "%i", guard->session->imap_tag);
    if (!guard->greeted)
        return nonsense(guard, "this is no IMAP server");
    if (!span_is(reader_word(in, ""), tag))
        return nonsense(guard, "the server answers a question that nobody asked");
    reader_spaces(in);
    struct span status = reader_word(in, "");
    guard->ok = span_is(status, "OK");
    if (!guard->ok && !span_is(status, "NO") && !span_is(status, "BAD"))
        return nonsense(guard, "the server gives an answer that is neither OK, NO nor BAD");
    keep_text(guard, reader_rest(in));
    guard->tagged = true;
    hand_on(guard, tag, guard->ok ? (struct span){"OK done", 7} : (struct span){"NO done", 7});
    return 0;
}

/* Reads lines until there is one for libetpan. */
static int next_line(struct guard *guard)
{
    struct reader *in = &guard->im->in;
    while (guard->line_pos == guard->line_len) {
        int r = reader_line(in);
        if (r < 0)
            return r;
        if (reader_take(in, '*'))
            r = take_untagged(guard);
        else if (guard->greeted && reader_take(in, '+'))
            r = take_challenge(guard);
        else
            r = take_tagged(guard);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- the driver; -1 is the only failure libetpan understands, also at end of file */

static ssize_t low_read(mailstream_low *low, void *data, size_t n)
{
    struct guard *guard = low->data;
    if (guard->im->stream.error || next_line(guard) < 0)
        return -1;
    size_t left = guard->line_len - guard->line_pos;
    if (n > left)
        n = left;
    memcpy(data, guard->line + guard->line_pos, n);
    guard->line_pos += n;
    return (ssize_t)n;
}

static ssize_t low_write(mailstream_low *low, const void *data, size_t n)
{
    struct guard *guard = low->data;
    return stream_write(&guard->im->stream, data, n) < 0 ? -1 : (ssize_t)n;
}

static int low_close(mailstream_low *low)
{
    (void)low; /* the stream goes on without libetpan */
    return 0;
}

static int low_get_fd(mailstream_low *low)
{
    struct guard *guard = low->data;
    return guard->im->stream.fd;
}

static void low_free(mailstream_low *low)
{
    free(low);
}

static mailstream_low_driver guard_driver = {
    .mailstream_read = low_read,
    .mailstream_write = low_write,
    .mailstream_close = low_close,
    .mailstream_get_fd = low_get_fd,
    .mailstream_free = low_free,
};

/* ---- life */

int guard_init(struct guard *guard, struct imap *im)
{
    *guard = (struct guard){.im = im};
    im->in.line_max = GUARD_LINE_MAX;
    guard->session = mailimap_new(0, NULL);
    return guard->session ? 0 : stream_fail(&im->stream, ENOMEM, "out of memory");
}

static void wipe(mailstream *stream)
{
    explicit_bzero(stream->write_buffer, stream->buffer_max_size);
    explicit_bzero(stream->read_buffer, stream->buffer_max_size);
}

void guard_release(struct guard *guard)
{
    guard->im->in.line_max = READER_LINE_MAX;
    if (!guard->session)
        return;
    mailstream *stream = guard->session->imap_stream;
    guard->session->imap_stream = NULL; /* else mailimap_free says LOGOUT */
    if (stream) {
        wipe(stream);
        mailstream_close(stream);
    }
    mailimap_free(guard->session);
    guard->session = NULL;
    explicit_bzero(guard->line, sizeof(guard->line));
}

int guard_greet(struct guard *guard)
{
    mailstream_low *low = mailstream_low_new(guard, &guard_driver);
    mailstream *stream = low ? mailstream_new(low, 8192) : NULL;
    if (!stream) {
        free(low);
        return stream_fail(&guard->im->stream, ENOMEM, "out of memory");
    }
    int r = mailimap_connect(guard->session, stream);
    if (guard->im->stream.error)
        return guard->im->stream.error;
    return r == MAILIMAP_NO_ERROR_NON_AUTHENTICATED ? 0 : nonsense(guard, "this is no IMAP server");
}

void guard_begin(struct guard *guard)
{
    memset(guard->answers, 0, sizeof(guard->answers));
    guard->answered = guard->challenges = guard->handed_on = guard->lines = 0;
    guard->tagged = guard->ok = guard->empty_first = false;
    guard->code[0] = guard->text.text[0] = '\0';
    guard->im->failure = (struct imap_failure){0};
}

static void wipe_text(struct str *text)
{
    if (text->data)
        explicit_bzero(text->data, text->alloc);
    str_release(text);
}

int guard_command(struct guard *guard, const char *command, const char *const *answers)
{
    guard_begin(guard);
    for (size_t i = 0; answers && i < ARRAY_LEN(guard->answers) && answers[i]; i++)
        guard->answers[i] = answers[i];
    CLEANUP(wipe_text) struct str line = STR_INIT(2 * 65536);
    if (str_reserve(&line, strlen(command) + 32) < 0)
        return stream_fail(&guard->im->stream, ENOMEM, "out of memory");
    str_printf_append(&line, "%i ", ++guard->session->imap_tag);
    str_append_text(&line, command);
    str_append_text(&line, "\r\n");
    int r = str_error(&line) < 0 ? stream_fail(&guard->im->stream, ENOMEM, "out of memory")
                                 : stream_write(&guard->im->stream, line.data, line.len);
    while (r == 0 && !guard->tagged) {
        guard->line_pos = guard->line_len; /* libetpan does not know of this command */
        r = next_line(guard);
    }
    guard->line_pos = guard->line_len;
    memset(guard->answers, 0, sizeof(guard->answers));
    return r;
}
