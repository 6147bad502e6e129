#include "netwatch.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct netwatch {
    int fd;
    uint64_t print; /* of links and addresses as they were last */
    struct netwatch_debounce debounce;
};

/* ---- what is there */

static uint64_t hash(uint64_t state, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++)
        state = (state ^ p[i]) * 1099511628211u; /* FNV-1a */
    return state;
}

static uint64_t hash_interface(const struct ifaddrs *i)
{
    unsigned flags = i->ifa_flags & (IFF_UP | IFF_RUNNING);
    uint64_t state = hash(14695981039346656037u, i->ifa_name, strlen(i->ifa_name));
    state = hash(state, &flags, sizeof(flags));
    if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)i->ifa_addr;
        state = hash(state, &in->sin_addr, sizeof(in->sin_addr));
    } else if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)i->ifa_addr;
        state = hash(state, &in6->sin6_addr, sizeof(in6->sin6_addr));
    }
    return state;
}

/* In whatever order they are told. */
static uint64_t fingerprint(void)
{
    struct ifaddrs *all;
    uint64_t sum = 0;
    if (getifaddrs(&all) < 0)
        return 0;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        sum += hash_interface(i);
    freeifaddrs(all);
    return sum;
}

/* ---- what the kernel tells */

static enum netwatch_news meaning(const struct nlmsghdr *header)
{
    switch (header->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
    case RTM_NEWADDR:
    case RTM_DELADDR:
        return NETWATCH_LOOK;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        if (header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg))) {
            const struct rtmsg *route = NLMSG_DATA(header);
            if (route->rtm_dst_len == 0 && route->rtm_table == RT_TABLE_MAIN)
                return NETWATCH_CHANGED;
        }
        return NETWATCH_NOTHING;
    default:
        return NETWATCH_NOTHING;
    }
}

enum netwatch_news netwatch_parse(const void *data, size_t n)
{
    enum netwatch_news news = NETWATCH_NOTHING;
    const char *p = data;
    while (n >= sizeof(struct nlmsghdr)) {
        const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)p;
        size_t len = header->nlmsg_len;
        if (len < sizeof(*header) || len > n)
            break;
        enum netwatch_news what = meaning(header);
        if (what > news)
            news = what;
        len = NLMSG_ALIGN(len);
        p += len < n ? len : n;
        n -= len < n ? len : n;
    }
    return news;
}

bool netwatch_due(struct netwatch_debounce *debounce, bool news, int64_t now_ms)
{
    if (news) {
        debounce->last_ms = now_ms;
        if (!debounce->first_ms)
            debounce->first_ms = now_ms;
    }
    if (!debounce->first_ms || (now_ms - debounce->last_ms < NETWATCH_QUIET_MS &&
                                now_ms - debounce->first_ms < NETWATCH_MAX_MS))
        return false;
    *debounce = (struct netwatch_debounce){0};
    return true;
}

static enum netwatch_news read_news(struct netwatch *netwatch)
{
    enum netwatch_news news = NETWATCH_NOTHING;
    _Alignas(struct nlmsghdr) char data[16384];
    for (unsigned i = 0; i < 1000; i++) {
        ssize_t n = recv(netwatch->fd, data, sizeof(data), MSG_DONTWAIT);
        enum netwatch_news what = NETWATCH_LOOK;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != ENOBUFS) /* ENOBUFS: it had more to tell than there was room for */
            break;
        if (n >= 0)
            what = netwatch_parse(data, (size_t)n);
        if (what > news)
            news = what;
    }
    return news;
}

bool netwatch_changed(struct netwatch *netwatch, int64_t now_ms)
{
    enum netwatch_news news = read_news(netwatch);
    bool changed = news == NETWATCH_CHANGED;
    if (news != NETWATCH_NOTHING) {
        uint64_t print = fingerprint();
        changed |= print != netwatch->print;
        netwatch->print = print;
    }
    return netwatch_due(&netwatch->debounce, changed, now_ms);
}

/* ---- life */

int netwatch_new(struct netwatch **ret)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK,
                                  .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
                                               RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                                               RTMGRP_IPV6_ROUTE};
    struct netwatch *netwatch = calloc(1, sizeof(*netwatch));
    if (!netwatch)
        return -ENOMEM;
    netwatch->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (netwatch->fd < 0 || bind(netwatch->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int r = -errno;
        netwatch_free(netwatch);
        return r;
    }
    netwatch->print = fingerprint();
    *ret = netwatch;
    return 0;
}

void netwatch_free(struct netwatch *netwatch)
{
    if (!netwatch)
        return;
    if (netwatch->fd >= 0)
        close(netwatch->fd);
    free(netwatch);
}
