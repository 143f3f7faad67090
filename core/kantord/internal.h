/* core/kantord/internal.h -- the process: what main.c and its neighbours share */
#ifndef KANTOR_CORE_KANTORD_INTERNAL_H
#define KANTOR_CORE_KANTORD_INTERNAL_H

#include "core/account/login.h"
#include "core/kantord/control.h"
#include "core/net/service.h"
#include "core/options.h"
#include "core/server.h"
#include "core/store/store.h"

struct control;

/* Everything that lives as long as the process; main.c makes it, nobody changes it while threads run. */
struct kantord {
    struct arena arena; /* configuration and texts */
    struct config config; /* as it was at start; what counts now is server.config */
    _Atomic int reloads;  /* asked for and not begun, or one running */
    const char *config_path;
    struct server server;
    struct control *control;
    _Atomic int stopping; /* long work of the server's own ends */
    int demo;
};

/* start.c: runs the server until SIGTERM. The error's text is a sentence. */
struct error run_server(struct kantord *k);
/* start.c: makes the data folder and a certificate of our own where they are missing, as the server's user. */
struct error prepare(struct kantord *k);

/* confine.c: Landlock and seccomp around everything behind it, or a line in the log that says why not. */
struct error confine(struct kantord *k);

/* reload.c: on SIGHUP; on the first loop, works on a worker. */
void reload_wanted(void *kantord);
struct net_options net_options_of(const struct config *c);

/* services.c: binds every service that the configuration names; the error's text is a sentence. */
struct error services_listen(struct kantord *k);
/* Deadlines of a reloaded configuration, for connections from now on. Any thread. */
void services_configure(const struct config *c);
/* Writes one line for each bound service. */
void services_print(const struct kantord *k);

/* certificate.c: the pairs of tls.certificates, or a self-signed one in data_dir, made when absent. */
struct error certificate_files_of(const struct config *c, const char *hostname, struct arena *a, struct certificate_files **files, size_t *n);

/* demo.c: writes DIR/kantor.conf when absent; fills an empty store with the demo organisation. */
/* What a demonstration does not leave to its file: the port base of the command line; it stays the user who starts it, and sees all files. */
void demo_settle(struct config *c, int port_base);
struct error demo_write_config(const char *dir, int port_base, struct arena *a, const char **path);
struct error demo_fill(struct kantord *k);
void demo_print(const struct kantord *k);

/* nightly.c: backups, verification, garbage, the disk. Gauges before threads start, timers after net_start. */
void nightly_gauges(struct kantord *k);
struct error nightly_start(struct kantord *k);

/* domain_keys.c: keys made, active, gone. After net_start; the stop once the workers ended and before the resolver goes. */
struct error domain_keys_start(struct kantord *k);
void domain_keys_stop(void);

/* gauges.c: what /metrics and `kantorctl top` read when they are asked. Before threads. */
void gauges_register(struct kantord *k);
/* services.c: the name of the n-th service that is bound; NULL behind the last. */
const char *services_name(size_t n);

/* admin_http.c */
extern const struct protocol admin_http_protocol;

/* control.c: the Unix socket of kantorctl. */
struct error control_start(struct kantord *k);
void control_stop(struct kantord *k);

#endif
