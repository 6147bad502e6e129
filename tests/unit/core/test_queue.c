/* Tests of core/queue: one job for many waiters, cancelling, order, batches, closing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue.h"

struct probe {
    struct waiter waiter;
    int calls, status;
};

static void on_done(struct waiter *waiter, int status)
{
    struct probe *probe = (struct probe *)waiter;
    probe->calls++;
    probe->status = status;
}

static bool any(void *ctx, const struct job *job, const unsigned running[JOB_KINDS])
{
    (void)ctx;
    (void)job;
    (void)running;
    return true;
}

static bool no_listing(void *ctx, const struct job *job, const unsigned running[JOB_KINDS])
{
    (void)ctx;
    (void)running;
    return job->kind != JOB_LISTING;
}

static struct queue *new_queue(void)
{
    struct queue *q = NULL;
    assert_int_equal(queue_new(&q), 0);
    return q;
}

static void add(struct queue *q, enum job_kind kind, uint64_t ino, uint64_t folder,
                struct probe *probe)
{
    struct job job = {.kind = kind, .ino = ino, .folder = folder, .size = 100};
    if (probe)
        *probe = (struct probe){.waiter = {.done = on_done}};
    assert_int_equal(queue_add(q, &job, probe ? &probe->waiter : NULL), 0);
}

static int take(struct queue *q, struct job *jobs, int max, uint64_t max_bytes)
{
    return queue_take(q, any, NULL, 0, jobs, max, max_bytes);
}

static void close_and_free(struct queue *q)
{
    queue_close(q);
    queue_free(q);
}

static void test_one_job_two_waiters(void **state)
{
    (void)state;
    struct queue *q = new_queue();
    struct probe a, b;
    struct job jobs[4];
    add(q, JOB_BODY, 7, 1, &a);
    add(q, JOB_BODY, 7, 1, &b);
    assert_int_equal(take(q, jobs, 4, 1000), 1);
    assert_int_equal(take(q, jobs + 1, 4, 1000), 0);
    queue_finish(q, &jobs[0], -EIO);
    assert_int_equal(a.calls, 1);
    assert_int_equal(b.calls, 1);
    assert_int_equal(b.status, -EIO);
    close_and_free(q);
}

static void test_joins_a_running_job(void **state)
{
    (void)state;
    struct queue *q = new_queue();
    struct probe a, b;
    struct job job;
    add(q, JOB_LISTING, 3, 0, &a);
    assert_int_equal(take(q, &job, 1, 0), 1);
    add(q, JOB_LISTING, 3, 0, &b);
    queue_finish(q, &job, 0);
    assert_int_equal(b.calls, 1);
    close_and_free(q);
}

static void test_cancel(void **state)
{
    (void)state;
    struct queue *q = new_queue();
    struct probe a, b;
    struct job job;
    add(q, JOB_BODY, 7, 1, &a);
    add(q, JOB_BODY, 7, 1, &b);
    assert_true(queue_cancel(q, &a.waiter));
    assert_false(queue_cancel(q, &a.waiter));
    assert_int_equal(take(q, &job, 1, 0), 1);
    queue_finish(q, &job, 0);
    assert_int_equal(a.calls, 0);
    assert_int_equal(b.calls, 1);
    assert_false(queue_cancel(q, &b.waiter));
    close_and_free(q);
}

static void test_cancel_of_the_last_removes_the_job(void **state)
{
    (void)state;
    struct queue *q = new_queue();
    struct probe a;
    struct job job;
    add(q, JOB_BODY, 7, 1, &a);
    assert_true(queue_cancel(q, &a.waiter));
    assert_int_equal(take(q, &job, 1, 0), 0);
    /* but not where it was background work as well */
    add(q, JOB_LISTING, 8, 0, NULL);
    add(q, JOB_LISTING, 8, 0, &a);
    assert_true(queue_cancel(q, &a.waiter));
    assert_int_equal(take(q, &job, 1, 0), 1);
    assert_int_equal(job.ino, 8);
    queue_finish(q, &job, 0);
    close_and_free(q);
}

static void test_foreground_first(void **state)
{
    (void)state;
    struct queue *q = new_queue();
    struct probe a, b;
    struct job job;
    add(q, JOB_LISTING, 1, 0, NULL);
    add(q, JOB_LISTING, 2, 0, NULL);
    add(q, JOB_LISTING, 3, 0, &a);
    add(q, JOB_LISTING, 2, 0, &b); /* somebody waits now: it moves up */
    const uint64_t order[] = {3, 2, 1};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        assert_int_equal(take(q, &job, 1, 0), 1);
        assert_int_equal(job.ino, order[i]);
        queue_finish(q, &job, 0);
    }
    close_and_free(q);
}

static void test_bodies_of_one_folder_go_together(void **state)
{
    (void)state;
    struct queue *q = new_queue();
    struct probe probes[6];
    struct job jobs[8];
    const uint64_t folders[] = {1, 2, 1, 1, 2, 1};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        add(q, JOB_BODY, 10 + i, folders[i], &probes[i]);
    assert_int_equal(take(q, jobs, 8, 1000000), 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(jobs[i].folder, 1);
    for (int i = 0; i < 4; i++)
        queue_finish(q, &jobs[i], 0);
    assert_int_equal(take(q, jobs, 8, 100), 1); /* the bytes are enough */
    queue_finish(q, &jobs[0], 0);
    assert_int_equal(take(q, jobs, 1, 1000000), 1);
    queue_finish(q, &jobs[0], 0);
    for (size_t i = 0; i < ARRAY_LEN(probes); i++)
        assert_int_equal(probes[i].calls, 1);
    close_and_free(q);
}

static void test_what_may_not_be_taken_is_passed_over(void **state)
{
    (void)state;
    struct queue *q = new_queue();
    struct probe a, b;
    struct job job;
    add(q, JOB_LISTING, 1, 0, &a);
    add(q, JOB_BODY, 2, 1, &b);
    assert_int_equal(queue_take(q, no_listing, NULL, 0, &job, 1, 0), 1);
    assert_int_equal(job.kind, JOB_BODY);
    assert_int_equal(queue_take(q, no_listing, NULL, 0, &job, 1, 0), 0);
    assert_true(queue_cancel(q, &a.waiter));
    assert_true(queue_cancel(q, &b.waiter)); /* running: the waiter can still leave */
    queue_finish(q, &job, 0);
    assert_int_equal(b.calls, 0);
    close_and_free(q);
}

static void test_return_and_close(void **state)
{
    (void)state;
    struct queue *q = new_queue();
    struct probe a, b;
    struct job job, again;
    add(q, JOB_BODY, 1, 1, &a);
    assert_int_equal(take(q, &job, 1, 0), 1);
    queue_return(q, &job);
    assert_int_equal(take(q, &again, 1, 0), 1);
    assert_int_equal(again.ino, 1);
    add(q, JOB_BODY, 2, 1, &b);
    queue_close(q);
    assert_int_equal(b.status, -ESHUTDOWN);
    assert_int_equal(a.calls, 0); /* it is running */
    queue_finish(q, &again, 0);
    assert_int_equal(a.calls, 1);
    struct job late = {.kind = JOB_BODY, .ino = 3};
    assert_int_equal(queue_add(q, &late, NULL), -ESHUTDOWN);
    assert_int_equal(take(q, &job, 1, 0), -ESHUTDOWN);
    queue_free(q);
}

static void test_fail_all_leaves_running_jobs(void **state)
{
    (void)state;
    struct queue *q = new_queue();
    struct probe a, b;
    struct job job;
    add(q, JOB_BODY, 1, 1, &a);
    assert_int_equal(take(q, &job, 1, 0), 1);
    add(q, JOB_BODY, 2, 1, &b);
    queue_fail_all(q, -ENETUNREACH);
    assert_int_equal(b.status, -ENETUNREACH);
    assert_int_equal(a.calls, 0);
    queue_finish(q, &job, 0);
    assert_int_equal(a.calls, 1);
    close_and_free(q);
}

/* What is asked for while a listing runs may be newer than what the run has read. */
static void test_again_after_the_run_under_way(void **state)
{
    (void)state;
    struct queue *q = new_queue();
    struct probe any_run, fresh = {.waiter = {.done = on_done}};
    struct job jobs[4], listing = {.kind = JOB_LISTING, .ino = 3};
    add(q, JOB_LISTING, 3, 0, &any_run);
    assert_int_equal(take(q, jobs, 4, 1000), 1);
    fresh.waiter.since_ms = clock_mono_ms();
    assert_int_equal(queue_add(q, &listing, &fresh.waiter), 0);
    queue_finish(q, &jobs[0], -EIO);
    assert_int_equal(any_run.calls, 1);
    assert_int_equal(fresh.calls, 0);
    while (clock_mono_ms() <= fresh.waiter.since_ms)
        ;
    assert_int_equal(take(q, jobs, 4, 1000), 1);
    struct probe joined = {.waiter = {.done = on_done, .since_ms = fresh.waiter.since_ms}};
    assert_int_equal(queue_add(q, &listing, &joined.waiter), 0); /* begun since: this run counts */
    queue_finish(q, &jobs[0], 0);
    assert_int_equal(fresh.calls, 1);
    assert_int_equal(fresh.status, 0);
    assert_int_equal(joined.calls, 1);

    add(q, JOB_LISTING, 3, 0, NULL);
    assert_int_equal(take(q, jobs, 4, 1000), 1);
    add(q, JOB_LISTING, 3, 0, NULL);
    queue_finish(q, &jobs[0], 0);
    assert_int_equal(take(q, jobs, 4, 1000), 1);
    queue_finish(q, &jobs[0], 0);
    assert_int_equal(take(q, jobs, 4, 1000), 0);

    add(q, JOB_BODY, 9, 1, NULL);
    assert_int_equal(take(q, jobs, 4, 1000), 1);
    add(q, JOB_BODY, 9, 1, NULL);
    queue_finish(q, &jobs[0], 0);
    assert_int_equal(take(q, jobs, 4, 1000), 0);
    close_and_free(q);
}

/* Taken back, given back, and at the end. */
static void test_waiting_for_the_next_run(void **state)
{
    (void)state;
    struct queue *q = new_queue();
    struct probe first, late = {.waiter = {.done = on_done}};
    struct job jobs[4], listing = {.kind = JOB_LISTING, .ino = 3};
    add(q, JOB_LISTING, 3, 0, &first);
    assert_int_equal(take(q, jobs, 4, 1000), 1);
    late.waiter.since_ms = INT64_MAX;
    assert_int_equal(queue_add(q, &listing, &late.waiter), 0);
    assert_true(queue_cancel(q, &late.waiter));
    assert_int_equal(queue_add(q, &listing, &late.waiter), 0);
    queue_return(q, &jobs[0]); /* it did nothing: both wait for the run that comes */
    assert_int_equal(take(q, jobs, 4, 1000), 1);
    queue_finish(q, &jobs[0], 0);
    assert_int_equal(first.calls, 1);
    assert_int_equal(late.calls, 1);
    assert_int_equal(take(q, jobs, 4, 1000), 0);

    add(q, JOB_LISTING, 3, 0, &first);
    assert_int_equal(take(q, jobs, 4, 1000), 1);
    assert_int_equal(queue_add(q, &listing, &late.waiter), 0);
    queue_close(q);
    queue_finish(q, &jobs[0], 0);
    assert_int_equal(first.status, 0);
    assert_int_equal(late.calls, 2);
    assert_int_equal(late.status, -ESHUTDOWN);
    queue_free(q);
}

static void count_release(void *data)
{
    ++*(int *)data;
}

/* What a job carries is released once, however the job ends, and before its waiter is called. */
static void test_release(void **state)
{
    (void)state;
    enum end { FINISH, CANCEL, CANCEL_RUNNING, FAIL, CLOSE, RETURN_CLOSED, ENDS };
    for (int end = 0; end < ENDS; end++) {
        struct queue *q = new_queue();
        struct probe a = {.waiter = {.done = on_done}};
        int released = 0;
        struct job taken,
            job = {.kind = JOB_SEARCH, .ino = 1, .data = &released, .release = count_release};
        bool runs = end == FINISH || end == CANCEL_RUNNING || end == RETURN_CLOSED;
        assert_int_equal(queue_add(q, &job, &a.waiter), 0);
        if (runs) {
            assert_int_equal(take(q, &taken, 1, 0), 1);
            assert_ptr_equal(taken.data, &released);
        }
        assert_int_equal(released, 0);
        if (end == CANCEL || end == CANCEL_RUNNING)
            assert_true(queue_cancel(q, &a.waiter));
        if (end == FAIL)
            queue_fail_all(q, -ENETUNREACH);
        if (end == CLOSE || end == RETURN_CLOSED)
            queue_close(q);
        assert_int_equal(released, !runs);
        if (end == RETURN_CLOSED)
            queue_return(q, &taken);
        else if (runs)
            queue_finish(q, &taken, 0);
        assert_int_equal(released, 1);
        assert_int_equal(a.calls, end != CANCEL && end != CANCEL_RUNNING);
        close_and_free(q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_again_after_the_run_under_way),
        cmocka_unit_test(test_waiting_for_the_next_run),
        cmocka_unit_test(test_one_job_two_waiters),
        cmocka_unit_test(test_joins_a_running_job),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_of_the_last_removes_the_job),
        cmocka_unit_test(test_foreground_first),
        cmocka_unit_test(test_bodies_of_one_folder_go_together),
        cmocka_unit_test(test_what_may_not_be_taken_is_passed_over),
        cmocka_unit_test(test_return_and_close),
        cmocka_unit_test(test_fail_all_leaves_running_jobs),
        cmocka_unit_test(test_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
