"""Logging in to the peer (RFC 4954): AUTH PLAIN, LOGIN or XOAUTH2, behind EHLO and STARTTLS.

All three show the password to whoever listens.  Where TLS is asked for, and
the connection has none, nothing is shown: the host counts as failed.
"""
from libc.stdint cimport int64_t
from libc.stdio cimport snprintf
from libc.string cimport memset

from pymomentum.core.base.base64 cimport base64_add
from pymomentum.core.base.buf cimport buf_add, buf_add_slice, buf_add_z, buf_free, buf_slice, buf_t
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.config.values cimport *
from pymomentum.core.net.stream cimport stream_flush, stream_write
from pymomentum.core.smtp.extension cimport EXT_AUTH_LOGIN, EXT_AUTH_PLAIN, EXT_AUTH_XOAUTH2
from .session cimport *

cdef enum:
    LINE_MAX = 510              # RFC 5321 4.5.3.1.4, without CR LF

cdef enum step_t:               # what the next 334 is answered with
    STEP_USER
    STEP_PASSWORD
    STEP_TOKEN                  # all at once
    STEP_NOTHING                # all is said: an empty line gets XOAUTH2's refusal, a star ends another dialogue
    STEP_OVER

cdef const char *NAMES[3]       # as outbound_smtp_auth_type counts them
NAMES[:] = [b"LOGIN", b"PLAIN", b"XOAUTH2"]


cdef void auth_start() noexcept nogil:
    client_set_login(login)


cdef bint login(client_t *c) noexcept nogil:
    """False: there is no need to."""
    cdef int64_t how = opt_number(c.values, OPT_OUTBOUND_SMTP_AUTH_TYPE)
    cdef const slice_t *user = opt_text(c.values, OPT_OUTBOUND_SMTP_AUTH_USER)
    cdef const slice_t *password = opt_text(c.values, OPT_OUTBOUND_SMTP_AUTH_PASS)
    cdef char why[80]
    if how < 0 or user == NULL or password == NULL:
        return False
    if not c.secured and opt_number(c.values, OPT_TLS) > TLS_NO:
        client_unfit(c, STAGE_EHLO, b"451 4.7.0 [internal] no login without TLS")
    elif not c.extensions & (EXT_AUTH_LOGIN if how == OUTBOUND_SMTP_AUTH_TYPE_LOGIN else
                             EXT_AUTH_PLAIN if how == OUTBOUND_SMTP_AUTH_TYPE_PLAIN else EXT_AUTH_XOAUTH2):
        snprintf(why, sizeof(why), b"451 4.7.0 [internal] AUTH %s required but not advertised", NAMES[how])
        client_unfit(c, STAGE_EHLO, why)
    else:
        say_auth(c, how)
    return True


cdef int add_token(client_t *c, int64_t how, buf_t *out) noexcept nogil:
    """User and password in one, coded."""
    cdef buf_t plain
    cdef int rc
    memset(&plain, 0, sizeof(plain))
    if how == OUTBOUND_SMTP_AUTH_TYPE_PLAIN:            # RFC 4616 2
        rc = buf_add(&plain, b"\0", 1)
    else:
        rc = buf_add_z(&plain, b"user=")
    if rc == EC_OK:
        rc = buf_add_slice(&plain, opt_text(c.values, OPT_OUTBOUND_SMTP_AUTH_USER)[0])
    if rc == EC_OK:
        rc = buf_add(&plain, b"\0", 1) if how == OUTBOUND_SMTP_AUTH_TYPE_PLAIN else buf_add_z(&plain, b"\1auth=Bearer ")
    if rc == EC_OK:
        rc = buf_add_slice(&plain, opt_text(c.values, OPT_OUTBOUND_SMTP_AUTH_PASS)[0])
    if rc == EC_OK and how != OUTBOUND_SMTP_AUTH_TYPE_PLAIN:
        rc = buf_add_z(&plain, b"\1\1")
    if rc == EC_OK:
        rc = base64_add(out, buf_slice(&plain))
    buf_free(&plain)
    return rc


cdef void say(client_t *c, int rc, buf_t *line) noexcept nogil:
    """One line, and an answer is waited for.  Takes the buffer."""
    if rc == EC_OK:
        client_stage(c, STAGE_EHLO, opt_number(c.values, OPT_EHLO_TIMEOUT))
        client_expect(c, EXPECT_AUTH, 0, NULL)
        stream_write(&c.stream, line.ptr, line.len)
        stream_write(&c.stream, b"\r\n", 2)
        stream_flush(&c.stream)
    buf_free(line)
    if rc != EC_OK:
        client_broken(c, b"451 4.3.0 [internal] out of memory")


cdef void say_auth(client_t *c, int64_t how) noexcept nogil:
    cdef buf_t line
    cdef size_t bare
    cdef int rc
    memset(&line, 0, sizeof(line))
    rc = buf_add_z(&line, b"AUTH ")
    if rc == EC_OK:
        rc = buf_add_z(&line, NAMES[how])
    bare = line.len
    c.login_step = STEP_USER if how == OUTBOUND_SMTP_AUTH_TYPE_LOGIN else STEP_NOTHING
    if rc == EC_OK and how != OUTBOUND_SMTP_AUTH_TYPE_LOGIN:
        rc = buf_add_z(&line, b" ")
        if rc == EC_OK:
            rc = add_token(c, how, &line)
        if line.len > LINE_MAX:         # RFC 4954 4: then it waits to be asked
            line.len = bare
            c.login_step = STEP_TOKEN
    say(c, rc, &line)


cdef void auth_challenged(client_t *c) noexcept nogil:
    cdef int64_t how = opt_number(c.values, OPT_OUTBOUND_SMTP_AUTH_TYPE)
    cdef int step = c.login_step, rc = EC_OK
    cdef buf_t line
    memset(&line, 0, sizeof(line))
    c.login_step = STEP_PASSWORD if step == STEP_USER else STEP_OVER if step == STEP_NOTHING else STEP_NOTHING
    if step == STEP_USER:
        rc = base64_add(&line, opt_text(c.values, OPT_OUTBOUND_SMTP_AUTH_USER)[0])
    elif step == STEP_PASSWORD:
        rc = base64_add(&line, opt_text(c.values, OPT_OUTBOUND_SMTP_AUTH_PASS)[0])
    elif step == STEP_TOKEN:
        rc = add_token(c, how, &line)
    elif step == STEP_OVER:
        client_refused(c)
        return
    elif how != OUTBOUND_SMTP_AUTH_TYPE_XOAUTH2:
        rc = buf_add_z(&line, b"*")
    say(c, rc, &line)
