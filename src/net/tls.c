/*
 * DESIGN.  A BIO of our own sits between OpenSSL and the socket: the socket BIO of OpenSSL writes
 * with write(), which raises SIGPIPE, and a library must not touch the process's signals.
 */
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls {
    SSL_CTX *context; /* owned */
    SSL *ssl;         /* owned */
    char host[256];
};

static BIO_METHOD *socket_method; /* set once by tls_global_init */

/* ---- the BIO */

static bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

static int socket_write(BIO *bio, const char *data, int n)
{
    int fd = (int)(intptr_t)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t done = send(fd, data, (size_t)n, MSG_NOSIGNAL);
    if (done < 0 && would_block())
        BIO_set_retry_write(bio);
    return (int)done;
}

static int socket_read(BIO *bio, char *data, int n)
{
    int fd = (int)(intptr_t)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t done = recv(fd, data, (size_t)n, 0);
    if (done < 0 && would_block())
        BIO_set_retry_read(bio);
    if (done == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)done;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return command == BIO_CTRL_FLUSH;
}

static int socket_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

int tls_global_init(void)
{
    if (socket_method)
        return 0;
    if (OPENSSL_init_ssl(0, NULL) != 1)
        return -ENOMEM;
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (!method)
        return -ENOMEM;
    BIO_meth_set_write(method, socket_write);
    BIO_meth_set_read(method, socket_read);
    BIO_meth_set_ctrl(method, socket_control);
    BIO_meth_set_create(method, socket_create);
    socket_method = method;
    return 0;
}

/* ---- life */

static const char *last_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "unknown reason";
}

static int set_context(struct tls *tls, const char *cafile, struct errtext *err)
{
    tls->context = SSL_CTX_new(TLS_client_method());
    if (!tls->context)
        return err_set(err, ENOMEM, "out of memory for TLS");
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(tls->context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    /* Moving: the bytes to be written may be moved in their buffer between two attempts. */
    SSL_CTX_set_mode(tls->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (cafile && SSL_CTX_load_verify_file(tls->context, cafile) != 1)
        return err_set(err, EKEYREJECTED, "cannot read the authorities in %s: %s", cafile,
                       last_reason());
    if (!cafile && SSL_CTX_set_default_verify_paths(tls->context) != 1)
        return err_set(err, EKEYREJECTED, "cannot read the system's certificate authorities");
    return 0;
}

static bool is_address(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* Whom the certificate must name. */
static bool set_peer(struct tls *tls)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address(tls->host))
        return X509_VERIFY_PARAM_set1_ip_asc(param, tls->host) == 1;
    size_t len = strlen(tls->host);
    if (len > 0 && tls->host[len - 1] == '.')
        tls->host[len - 1] = '\0'; /* neither SNI nor a certificate knows the root's dot */
    return X509_VERIFY_PARAM_set1_host(param, tls->host, 0) == 1 &&
           SSL_set_tlsext_host_name(tls->ssl, tls->host) == 1;
}

int tls_new(int fd, const char *host, const char *cafile, struct tls **ret, struct errtext *err)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    if (!tls)
        return err_set(err, ENOMEM, "out of memory for TLS");
    ERR_clear_error();
    int r = set_context(tls, cafile, err);
    if (r == 0 && (*host == '\0' || strlen(host) >= sizeof(tls->host)))
        r = err_set(err, EKEYREJECTED, "no certificate can name this host");
    BIO *bio = NULL;
    if (r == 0) {
        memcpy(tls->host, host, strlen(host) + 1);
        tls->ssl = SSL_new(tls->context);
        bio = BIO_new(socket_method);
        if (!tls->ssl || !bio || !set_peer(tls))
            r = err_set(err, ENOMEM, "cannot set up TLS: %s", last_reason());
    }
    if (r < 0) {
        BIO_free(bio);
        tls_free(tls);
        return r;
    }
    BIO_set_data(bio, (void *)(intptr_t)fd);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_connect_state(tls->ssl);
    *ret = tls;
    return 0;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    free(tls);
}

/* ---- handshake */

static int refuse_certificate(struct tls *tls, long why, struct errtext *err)
{
    const char *host = tls->host;
    switch (why) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return err_set(err, EKEYREJECTED,
                       "certificate refused: it is not for %s (no such name among its "
                       "subjectAltNames)",
                       host);
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return err_set(err, EKEYREJECTED, "certificate refused: it has expired");
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return err_set(err, EKEYREJECTED, "certificate refused: it is not yet valid");
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return err_set(err, EKEYREJECTED, "certificate refused: it is self-signed");
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return err_set(err, EKEYREJECTED,
                       "certificate refused: it is not signed by a trusted authority (%s)",
                       X509_verify_cert_error_string(why));
    default:
        return err_set(err, EKEYREJECTED, "certificate refused: %s",
                       X509_verify_cert_error_string(why));
    }
}

/* What an SSL_* call that returned <= 0 means: -EAGAIN, -ECONNRESET, or -EIO for the rest. */
static int classify(struct tls *tls, int result, short *ret_want)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        *ret_want = POLLIN;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        *ret_want = POLLOUT;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
    case SSL_ERROR_SYSCALL:
        return -ECONNRESET;
    default:
        return ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING
                   ? -ECONNRESET
                   : -EIO;
    }
}

int tls_handshake(struct tls *tls, short *ret_want, struct errtext *err)
{
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1)
        return 0;
    int r = classify(tls, result, ret_want);
    if (r == -EAGAIN)
        return r;
    long why = SSL_get_verify_result(tls->ssl);
    if (why != X509_V_OK)
        return refuse_certificate(tls, why, err);
    if (r == -ECONNRESET)
        return err_set(err, ECONNRESET, "the server closed the connection in the TLS handshake");
    return err_set(err, EKEYREJECTED, "TLS handshake failed: %s", last_reason());
}

/* ---- data */

ssize_t tls_read(struct tls *tls, void *data, size_t n, short *ret_want)
{
    size_t done;
    ERR_clear_error();
    int result = SSL_read_ex(tls->ssl, data, n, &done);
    if (result == 1)
        return (ssize_t)done;
    int r = classify(tls, result, ret_want);
    return r == -EIO ? -ECONNRESET : r;
}

ssize_t tls_write(struct tls *tls, const void *data, size_t n, short *ret_want)
{
    size_t done;
    ERR_clear_error();
    int result = SSL_write_ex(tls->ssl, data, n, &done);
    if (result == 1)
        return (ssize_t)done;
    int r = classify(tls, result, ret_want);
    return r == -EIO ? -ECONNRESET : r;
}

bool tls_pending(const struct tls *tls)
{
    return SSL_pending(tls->ssl) > 0; /* has_pending counts half a record, too */
}
