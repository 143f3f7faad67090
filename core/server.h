/* core/server.h -- what every protocol can reach: one struct, made by main, never changed while threads run
 *
 * `struct server *server = net_user(c->net);`
 */
#ifndef KANTOR_CORE_SERVER_H
#define KANTOR_CORE_SERVER_H

struct store;
struct login_service;
struct net;
struct config;

struct server {
    struct store *store;
    struct login_service *login;
    struct net *net;
    const struct config *config;
    const char *hostname;
};

#endif
