/* tests of src/net/netwatch.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "netwatch.h"

struct message { /* as the kernel sends it */
    struct nlmsghdr header;
    struct rtmsg route;
};

static struct message message(int type, int dst_len, int table)
{
    return (struct message){
        .header = {.nlmsg_len = sizeof(struct message), .nlmsg_type = (uint16_t)type},
        .route = {.rtm_dst_len = (unsigned char)dst_len, .rtm_table = (unsigned char)table}};
}

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        int type, dst_len, table;
        enum netwatch_news want;
    } rows[] = {
        {RTM_NEWLINK, 0, 0, NETWATCH_LOOK},
        {RTM_DELADDR, 0, 0, NETWATCH_LOOK},
        {RTM_NEWROUTE, 0, RT_TABLE_MAIN, NETWATCH_CHANGED},
        {RTM_DELROUTE, 0, RT_TABLE_MAIN, NETWATCH_CHANGED},
        {RTM_NEWROUTE, 24, RT_TABLE_MAIN, NETWATCH_NOTHING},
        {RTM_NEWROUTE, 0, RT_TABLE_LOCAL, NETWATCH_NOTHING},
        {RTM_NEWNEIGH, 0, RT_TABLE_MAIN, NETWATCH_NOTHING},
        {NLMSG_DONE, 0, 0, NETWATCH_NOTHING},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct message m = message(rows[i].type, rows[i].dst_len, rows[i].table);
        assert_int_equal(netwatch_parse(&m, sizeof(m)), rows[i].want);
        /* Cut anywhere, it means nothing. */
        for (size_t n = 0; n < sizeof(m); n++)
            assert_int_equal(netwatch_parse(&m, n), NETWATCH_NOTHING);
    }
    struct message both[2] = {message(RTM_NEWADDR, 0, 0), message(RTM_NEWROUTE, 0, RT_TABLE_MAIN)};
    assert_int_equal(netwatch_parse(both, sizeof(both)), NETWATCH_CHANGED);
    both[0].header.nlmsg_len = 3; /* nonsense: the rest is not looked at */
    assert_int_equal(netwatch_parse(both, sizeof(both)), NETWATCH_NOTHING);
    both[0].header.nlmsg_len = UINT32_MAX;
    assert_int_equal(netwatch_parse(both, sizeof(both)), NETWATCH_NOTHING);
}

static void test_debounce(void **state)
{
    (void)state;
    struct netwatch_debounce d = {0};
    assert_false(netwatch_due(&d, false, 1000));
    assert_false(netwatch_due(&d, true, 2000));
    assert_false(netwatch_due(&d, true, 2500));
    assert_false(netwatch_due(&d, false, 2500 + NETWATCH_QUIET_MS - 1));
    assert_true(netwatch_due(&d, false, 2500 + NETWATCH_QUIET_MS));
    assert_false(netwatch_due(&d, false, 99000)); /* once */
    /* It never gets quiet: told all the same. */
    int64_t now = 100000;
    assert_false(netwatch_due(&d, true, now));
    while (now < 100000 + NETWATCH_MAX_MS - 500)
        assert_false(netwatch_due(&d, true, now += 500));
    assert_true(netwatch_due(&d, true, 100000 + NETWATCH_MAX_MS));
}

static void test_nothing_happens(void **state)
{
    (void)state;
    struct netwatch *netwatch = NULL;
    if (netwatch_new(&netwatch) < 0)
        return; /* no netlink in this sandbox */
    assert_false(netwatch_changed(netwatch, 1000));
    netwatch_free(netwatch);
    netwatch_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_debounce),
        cmocka_unit_test(test_nothing_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
