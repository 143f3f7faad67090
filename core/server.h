/* core/server.h -- what every protocol can reach: one struct, made by main
 *
 * `struct server *server = net_user(c->net);` Nothing in it changes while threads run but `config`: SIGHUP puts another in its place,
 * and the old one lives on, because a worker may be reading it. Who reads two options that belong together takes the pointer once.
 */
#ifndef KANTOR_CORE_SERVER_H
#define KANTOR_CORE_SERVER_H

struct store;
struct login_service;
struct net;
struct config;
struct resolver; /* core/dns/resolver.h */
struct suffix_list; /* mail/authentication/suffix.h */
struct relay;    /* mail/relay/relay.h */

struct server {
    struct store *store;
    struct login_service *login;
    struct net *net;
    struct resolver *resolver; /* NULL where no network is wanted (kantorctl on stopped files) */
    struct suffix_list *suffixes; /* or NULL: no list on this machine, then nothing is authenticated */
    struct relay *relay;       /* or NULL */
    const struct config *_Atomic config;
    const char *config_path; /* the file it was read from */
    const char *hostname;
};

#endif
