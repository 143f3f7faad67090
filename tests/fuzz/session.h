/* tests/fuzz/session.h -- a protocol's sessions without sockets: real framing, dispatch and store, bytes cut anywhere
 *
 * A small organisation (u@k.example, password "p", an INBOX with three messages; v@k.example) lies in a temporary folder, made anew after some
 * hundred inputs so that it does not grow. */
#ifndef TESTS_FUZZ_SESSION_H
#define TESTS_FUZZ_SESSION_H

#include "core/net/service.h"

/* A dialogue as an initializer. */
#define DIALOGUE(text) {text, sizeof(text) - 1}

struct session_input {
    const struct service *service;
    int tls;            /* as if the connection were encrypted */
    size_t piece;       /* the input comes in pieces of so many bytes; 0: at once */
    struct slice before, input; /* before: dialogue that brings the session into a state */
};

/* Runs a session to its end. Promises: it ends, it never stands still while it has input, its output stays bounded. */
void session_feed(const struct session_input *in);

#endif
