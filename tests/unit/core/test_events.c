/* Tests of core/events and core/history: whole lines, rotation, threads, a full disk, following. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "events.h"
#include "history.h"

#define ALL ((size_t)1 << 20)

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/mm-events-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path_of(EVENTS_FILE));
    unlink(path_of(EVENTS_FILE ".1"));
    return rmdir(dir);
}

static struct events *open_events(size_t max)
{
    struct events *events = NULL;
    assert_int_equal(events_open(dir, max, &events), 0);
    return events;
}

static struct history *open_history(void)
{
    struct history *history = NULL;
    assert_int_equal(history_open(dir, &history), 0);
    return history;
}

/* The next line as JSON, which must be sound; NULL: there is none. */
static json_t *next(struct history *history)
{
    const char *line;
    int r = history_next(history, &line);
    assert_true(r >= 0);
    if (r == 0)
        return NULL;
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    return object;
}

static void assert_next_text(struct history *history, const char *text)
{
    json_t *object = next(history);
    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "text")), text);
    json_decref(object);
}

static void write_raw(const char *text)
{
    int fd = open(path_of(EVENTS_FILE), O_WRONLY | O_APPEND | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write_full(fd, text, strlen(text)), 0);
    close(fd);
}

static void test_one_line(void **state)
{
    (void)state;
    struct stat st;
    struct events *events = open_events(ALL);
    event_log(events, EVENT_SYNCED, "Lists/\"x\"",
              (const struct event_count[]){{"new", 3}, {"gone", 1}, {0}}, "%d new\r\n\x1b[2J", 3);
    event_log(events, EVENT_ONLINE, NULL, NULL, "logged in");
    event_log(NULL, EVENT_ONLINE, NULL, NULL, "nowhere");
    assert_int_equal(stat(path_of(EVENTS_FILE), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    struct history *history = open_history();
    json_t *object = next(history);
    assert_string_equal(json_string_value(json_object_get(object, "event")), "synced");
    assert_string_equal(json_string_value(json_object_get(object, "folder")), "Lists/\"x\"");
    assert_string_equal(json_string_value(json_object_get(object, "text")), "3 new???[2J");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(object, "counts"), "new")),
                     3);
    assert_int_equal(strlen(json_string_value(json_object_get(object, "time"))), 24);
    json_decref(object);
    object = next(history);
    assert_null(json_object_get(object, "folder"));
    assert_null(json_object_get(object, "counts"));
    json_decref(object);
    assert_null(next(history));
    history_close(history);
    events_close(events);
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    static char long_text[20000];
    memset(long_text, '"', sizeof(long_text) - 1);
    struct events *events = open_events(ALL);
    event_log(events, EVENT_FAILED, long_text, NULL, "%s", long_text);
    struct history *history = open_history();
    json_t *object = next(history);
    assert_int_equal(strlen(json_string_value(json_object_get(object, "text"))), 511);
    assert_int_equal(strlen(json_string_value(json_object_get(object, "folder"))), 4096);
    json_decref(object);
    history_close(history);
    events_close(events);
}

/* Two files of bounded size hold the newest lines, none twice, none missing in between. */
static void test_rotation(void **state)
{
    (void)state;
    struct stat st;
    struct events *events = open_events(2000);
    char text[32];
    for (int i = 0; i < 200; i++)
        event_log(events, EVENT_SYNCED, "A", NULL, "number %d", i);
    events_close(events);
    assert_int_equal(stat(path_of(EVENTS_FILE), &st), 0);
    assert_true(st.st_size > 0 && st.st_size <= 2000);
    assert_int_equal(stat(path_of(EVENTS_FILE ".1"), &st), 0);
    assert_true(st.st_size > 1000 && st.st_size <= 2000);
    struct history *history = open_history();
    json_t *object = next(history);
    int first, n = 1;
    const char *words = json_string_value(json_object_get(object, "text"));
    uint64_t number;
    assert_int_equal(parse_u64(words + strlen("number "), 200, &number), 0);
    first = (int)number;
    json_decref(object);
    assert_true(first > 100);
    for (; first + n < 200; n++) {
        snprintf(text, sizeof(text), "number %d", first + n);
        assert_next_text(history, text);
    }
    assert_null(next(history));
    history_close(history);
}

/* A reader that is not more than a file behind misses nothing. */
static void test_following(void **state)
{
    (void)state;
    char text[32];
    struct history *history = open_history(); /* before there is a file */
    assert_null(next(history));
    struct events *events = open_events(1000);
    for (int i = 0; i < 100; i++) {
        event_log(events, EVENT_SYNCED, "A", NULL, "number %d", i);
        if (i % 4 != 3)
            continue;
        for (int k = i - 3; k <= i; k++) {
            snprintf(text, sizeof(text), "number %d", k);
            assert_next_text(history, text);
        }
        assert_null(next(history));
    }
    history_close(history);
    events_close(events);
}

static void test_broken_lines_are_passed_over(void **state)
{
    (void)state;
    static char huge[200000];
    memset(huge, 'x', sizeof(huge) - 1);
    write_raw("garbage\n\n{\"time\":\"short\"}\n");
    write_raw(huge);
    write_raw("\n{\"time\":\"2026-11-27T08:02:20.123Z\",\"event\":\"sync");
    struct events *events = open_events(ALL); /* begins a line of its own */
    event_log(events, EVENT_ONLINE, NULL, NULL, "whole");
    struct history *history = open_history();
    assert_next_text(history, "whole");
    assert_null(next(history));
    history_close(history);
    events_close(events);
}

static void set_file_limit(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The disk takes half a line: nothing of it stays, and the loss is told later. */
static void test_full_disk(void **state)
{
    (void)state;
    struct stat st;
    struct events *events = open_events(ALL);
    signal(SIGXFSZ, SIG_IGN);
    event_log(events, EVENT_ONLINE, NULL, NULL, "before");
    assert_int_equal(stat(path_of(EVENTS_FILE), &st), 0);
    set_file_limit((rlim_t)st.st_size + 20);
    event_log(events, EVENT_ONLINE, NULL, NULL, "lost");
    event_log(events, EVENT_ONLINE, NULL, NULL, "lost");
    assert_int_equal(events_dropped(events), 2);
    set_file_limit(RLIM_INFINITY);
    event_log(events, EVENT_ONLINE, NULL, NULL, "after");
    event_log(events, EVENT_ONLINE, NULL, NULL, "last");
    struct history *history = open_history();
    assert_next_text(history, "before");
    json_t *object = next(history);
    assert_string_equal(json_string_value(json_object_get(object, "event")), "dropped");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(object, "counts"), "events")), 2);
    json_decref(object);
    assert_next_text(history, "after");
    assert_next_text(history, "last");
    assert_null(next(history));
    history_close(history);
    events_close(events);
}

static void *writer(void *arg)
{
    for (int i = 0; i < 250; i++)
        event_log(arg, EVENT_SYNCED, "A folder", NULL, "one of many");
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct events *events = open_events(ALL);
    pthread_t threads[4];
    int n = 0;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, writer, events), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    struct history *history = open_history();
    char last[32] = "";
    for (json_t *object; (object = next(history)); n++) {
        const char *when = json_string_value(json_object_get(object, "time"));
        assert_true(strcmp(when, last) >= 0);
        snprintf(last, sizeof(last), "%s", when);
        json_decref(object);
    }
    assert_int_equal(n, 1000);
    history_close(history);
    events_close(events);
}

static void test_text_for_people(void **state)
{
    (void)state;
    CLEANUP_STR struct str out = STR_INIT(10000);
    setenv("TZ", "UTC-2", 1);
    tzset();
    assert_int_equal(history_text("{\"time\":\"2026-11-27T23:02:20.123Z\",\"event\":\"synced\","
                                  "\"folder\":\"A/B\",\"text\":\"3 new\\u001b\"}",
                                  &out),
                     0);
    assert_int_equal(
        history_text("{\"time\":\"2026-11-27T08:02:20.123Z\",\"text\":\"logged in\"}", &out), 0);
    assert_int_equal(history_text("{\"time\":\"yesterday\"}", &out), 0);
    assert_int_equal(history_text("no JSON", &out), 0);
    assert_string_equal(out.data, "2026-11-28 01:02:20  A/B: 3 new?\n"
                                  "2026-11-27 10:02:20  logged in\n");
}

static void test_not_a_file(void **state)
{
    (void)state;
    struct events *events = NULL;
    assert_int_equal(symlink("/dev/null", path_of(EVENTS_FILE)), 0);
    assert_true(events_open(dir, ALL, &events) < 0);
    assert_null(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_line, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_long_texts_are_cut, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_rotation, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_following, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_broken_lines_are_passed_over, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_full_disk, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_threads, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_text_for_people, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_not_a_file, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
