#include "imapd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct imapd {
    imapd_script *script;
    void *arg;
    struct imapd_options options;
    char cert[512];
    int listener, fd;
    uint16_t port;
    pthread_t thread;
    SSL_CTX *context;
    SSL *ssl;
    char line[65536];
    char tag[64];
    char in[4096];
    size_t in_pos, in_len;
    char failure[512];
};

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

void imapd_fail(struct imapd *server, const char *format, ...)
{
    va_list args;
    if (server->failure[0])
        return;
    va_start(args, format);
    vsnprintf(server->failure, sizeof(server->failure), format, args);
    va_end(args);
}

/* ---- the connection */

void imapd_starttls(struct imapd *server)
{
    char path[600];
    server->context = SSL_CTX_new(TLS_server_method());
    snprintf(path, sizeof(path), "%s.pem", server->cert);
    bool ok = SSL_CTX_use_certificate_chain_file(server->context, path) == 1;
    snprintf(path, sizeof(path), "%s.key", server->cert);
    ok = ok && SSL_CTX_use_PrivateKey_file(server->context, path, SSL_FILETYPE_PEM) == 1;
    if (!ok)
        imapd_fail(server, "no certificate at %s", server->cert);
    server->ssl = SSL_new(server->context);
    SSL_set_fd(server->ssl, server->fd);
    SSL_accept(server->ssl); /* the client may refuse us: its business */
}

static ssize_t read_some(struct imapd *server, void *data, size_t n)
{
    if (server->ssl)
        return SSL_read(server->ssl, data, (int)n);
    return recv(server->fd, data, n, 0);
}

bool imapd_write(struct imapd *server, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        size_t piece = server->options.bytewise ? 1 : n < 65536 ? n : 65536;
        ssize_t done = server->ssl ? SSL_write(server->ssl, p, (int)piece)
                                   : send(server->fd, p, piece, MSG_NOSIGNAL);
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

void imapd_send(struct imapd *server, const char *format, ...)
{
    char text[8192];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    need(n >= 0 && (size_t)n < sizeof(text), "imapd_send");
    imapd_write(server, text, (size_t)n);
}

const char *imapd_line(struct imapd *server)
{
    size_t len = 0;
    for (;;) {
        if (server->in_pos == server->in_len) {
            ssize_t n = read_some(server, server->in, sizeof(server->in));
            server->in_pos = 0;
            server->in_len = n > 0 ? (size_t)n : 0;
            if (n <= 0)
                break;
        }
        char c = server->in[server->in_pos++];
        if (c == '\n')
            break;
        if (len + 1 < sizeof(server->line))
            server->line[len++] = c;
    }
    if (len > 0 && server->line[len - 1] == '\r')
        len--;
    server->line[len] = '\0';
    snprintf(server->tag, sizeof(server->tag), "%.*s", (int)strcspn(server->line, " "),
             server->line);
    return server->line;
}

const char *imapd_last(const struct imapd *server)
{
    return server->line;
}

void imapd_expect(struct imapd *server, const char *text)
{
    imapd_line(server);
    if (!strstr(server->line, text))
        imapd_fail(server, "expected \"%s\", got \"%.300s\"", text, server->line);
}

void imapd_reply(struct imapd *server, const char *text)
{
    imapd_send(server, "%s %s\r\n", server->tag, text);
}

void imapd_login(struct imapd *server, const char *caps)
{
    char tag[64];
    imapd_send(server, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n");
    imapd_expect(server, "AUTHENTICATE PLAIN");
    snprintf(tag, sizeof(tag), "%s", server->tag);
    imapd_send(server, "+ \r\n");
    imapd_expect(server, "AHVzZXIAc2VjcmV0"); /* user, secret */
    imapd_send(server, "%s OK [CAPABILITY IMAP4rev1 %s] in\r\n", tag, caps);
}

void imapd_wait_closed(struct imapd *server)
{
    char data[4096];
    while (read_some(server, data, sizeof(data)) > 0)
        ;
}

/* ---- life */

static void close_connection(struct imapd *server)
{
    SSL_free(server->ssl);
    SSL_CTX_free(server->context);
    server->ssl = NULL;
    server->context = NULL;
    close(server->fd);
    server->in_pos = server->in_len = 0;
}

static void *serve(void *data)
{
    struct imapd *server = data;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < (server->options.connections ? server->options.connections : 1); i++) {
        int on = 1;
        server->fd = accept(server->listener, NULL, NULL);
        if (server->fd < 0)
            break;
        setsockopt(server->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (server->options.tls)
            imapd_starttls(server);
        server->script(server, server->arg);
        close_connection(server);
    }
    return NULL;
}

struct imapd *imapd_start(imapd_script *script, void *arg, const struct imapd_options *options)
{
    struct imapd *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    need(server, "calloc");
    server->script = script;
    server->arg = arg;
    if (options)
        server->options = *options;
    if (options && options->cert)
        snprintf(server->cert, sizeof(server->cert), "%s", options->cert);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(server->listener >= 0, "socket");
    need(bind(server->listener, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
    need(listen(server->listener, 8) == 0, "listen");
    need(getsockname(server->listener, (struct sockaddr *)&address, &len) == 0, "getsockname");
    server->port = ntohs(address.sin_port);
    need(pthread_create(&server->thread, NULL, serve, server) == 0, "pthread_create");
    return server;
}

uint16_t imapd_port(const struct imapd *server)
{
    return server->port;
}

const char *imapd_stop(struct imapd *server)
{
    static char failure[512];
    shutdown(server->listener, SHUT_RDWR); /* ends an accept that nobody answers */
    pthread_join(server->thread, NULL);
    close(server->listener);
    memcpy(failure, server->failure, sizeof(failure));
    free(server);
    return failure;
}
