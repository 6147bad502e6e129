#include "backoff.h"

#include <errno.h>
#include <string.h>

#define FIRST_MS     5000
#define AMBIGUOUS_MS 60000
#define LONG_MS      (15 * 60 * 1000)
#define SUGGESTED_MS (6 * 3600 * 1000) /* longest that a server may ask for */

static int64_t doubled(int64_t first, unsigned failures)
{
    int64_t step = first;
    for (unsigned i = 1; i < failures && step < LONG_MS; i++)
        step *= 2;
    return step < LONG_MS ? step : LONG_MS;
}

static int64_t jittered(int64_t step, uint32_t random)
{
    return step / 2 + (int64_t)(random % (uint32_t)(step / 2 + 1));
}

/* Upwards only, by up to a tenth: what the server has asked for is the least. */
static int64_t suggested(uint64_t ms, uint32_t random)
{
    int64_t least = ms < SUGGESTED_MS ? (int64_t)ms : SUGGESTED_MS;
    return least + (int64_t)(random % (uint32_t)(least / 10 + 1));
}

static bool is_one_of(const char *code, const char *const *codes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(code, codes[i]) == 0)
            return true;
    return false;
}

static bool is_trouble(const char *code)
{
    static const char *const codes[] = {"CONTACTADMIN", "SERVERBUG", "CORRUPTION", "ALERT",
                                        "OVERQUOTA"};
    return is_one_of(code, codes, ARRAY_LEN(codes));
}

static bool is_busy(const char *code)
{
    static const char *const codes[] = {"UNAVAILABLE", "INUSE", "LIMIT", "THROTTLED"};
    return is_one_of(code, codes, ARRAY_LEN(codes));
}

/* Their words differ: "Too many simultaneous connections", "Maximum number of connections from
 * user+IP exceeded", "too many users", "User is over the connection limit". */
bool backoff_too_many(const char *text)
{
    static const char *const about[] = {"connection", "session", "login", "users"};
    static const char *const amount[] = {"too many", "maximum", "exceed", "limit"};
    bool named = false, many = false;
    for (size_t i = 0; i < ARRAY_LEN(about); i++)
        named |= strcasestr(text, about[i]) != NULL;
    for (size_t i = 0; i < ARRAY_LEN(amount); i++)
        many |= strcasestr(text, amount[i]) != NULL;
    return named && many;
}

void backoff_decide(const struct backoff_cause *cause, uint32_t random, struct backoff *ret)
{
    bool many = backoff_too_many(cause->text);
    bool busy = many || is_busy(cause->code) || cause->error == -EAGAIN;
    bool trouble = !many && is_trouble(cause->code);
    bool credential = !busy && !trouble && cause->error == -EKEYEXPIRED;
    bool certain =
        strcmp(cause->code, "AUTHENTICATIONFAILED") == 0 || strcmp(cause->code, "EXPIRED") == 0;
    int64_t step = doubled(FIRST_MS, cause->failures);
    if (trouble || (credential && certain))
        step = LONG_MS;
    else if (credential)
        step = doubled(AMBIGUOUS_MS, cause->failures);
    *ret = (struct backoff){.wait_ms = jittered(step, random),
                            .connections = cause->connected ? cause->connected
                                           : busy           ? 1
                                                            : 0,
                            .refused = credential};
    if (cause->suggested_ms > 0) {
        int64_t asked = suggested(cause->suggested_ms, random);
        ret->asked = true;
        if (ret->wait_ms < asked)
            ret->wait_ms = asked;
    }
}

int64_t backoff_pause(const struct backoff_cause *cause, uint32_t random)
{
    if (cause->suggested_ms > 0)
        return suggested(cause->suggested_ms, random);
    if (strcmp(cause->code, "OVERQUOTA") == 0)
        return jittered(LONG_MS, random);
    if (strcmp(cause->code, "LIMIT") == 0 || strcmp(cause->code, "THROTTLED") == 0 ||
        backoff_too_many(cause->text))
        return jittered(doubled(FIRST_MS, cause->failures), random);
    return 0;
}
