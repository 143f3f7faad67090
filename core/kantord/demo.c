/* core/kantord/demo.c -- the demonstration organisation: the same server with a written configuration */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/account/account.h"
#include "core/durable.h"
#include "core/kantord/internal.h"
#include "core/store/grant.h"

#define PASSWORD "demo-password"

static const struct person {
    struct slice address, title;
    enum account_kind kind;
} people[] = {
    {{"budi@kantor.example", 19}, {"Budi Santoso", 12}, ACCOUNT_PERSON},   {{"sari@kantor.example", 19}, {"Sari Wulandari", 14}, ACCOUNT_PERSON}, {{"dewi@kantor.example", 19}, {"Dewi Lestari", 12}, ACCOUNT_PERSON},
    {{"andi@kantor.example", 19}, {"Andi Pratama", 12}, ACCOUNT_PERSON},   {{"rina@cabang.example", 19}, {"Rina Hartati", 12}, ACCOUNT_PERSON},   {{"tim@kantor.example", 18}, {"Tim", 3}, ACCOUNT_GROUP},
    {{"info@kantor.example", 19}, {"Informasi", 9}, ACCOUNT_SHARED},
};

enum { N_PEOPLE = sizeof people / sizeof people[0], GROUP = 5, SHARED = 6, LOGINS = 5 };

static const char dns_table[] = "# All names that the demonstration knows: nothing leaves this machine, any other name does not exist. Read again whenever it changes.\n"
                                "# name type data, as in a zone file:\n"
                                "kantor.example   MX   10 kantor.example\n"
                                "kantor.example   A    127.0.0.1\n"
                                "cabang.example   MX   10 kantor.example\n";

struct error demo_write_config(const char *dir, int port_base, struct arena *a, const char **path)
{
    *path = arena_printf(a, "%s/kantor.conf", dir);
    if (durable_folder(dir, 0700).code != ERROR_NONE)
        return error_make(ERROR_IO, arena_printf(a, "cannot make the folder %s: %m", dir));
    if (access(*path, F_OK) == 0)
        return OK;
    const char *text = arena_printf(a,
                  "# A demonstration organisation. `kantord --print-sample` shows every option.\n"
                  "hostname = kantor.example\n"
                  "data_dir = data\n"
                  "listen.addresses = 127.0.0.1, ::1\n"
                  "listen.port_base = %d\n"
                  "auth.cleartext = loopback\n"
                  "limit.loopback = 20000\n"
                  "limit.connections = 40000\n"
                  "limit.commands_loopback = 200000\n"
                  "sending.hour = 0\nsending.day = 0\nsending.app_hour = 0\nsending.app_day = 0\n"
                  "dns.table = dns.table\n"
                  "relay.loopback = allow\n",
                  port_base);
    const char *table = arena_printf(a, "%s/dns.table", dir);
    if (!text || !table)
        return error_make(ERROR_MEMORY, "no memory for the configuration");
    if (durable_file(table, slice_of(dns_table), 0600).code != ERROR_NONE)
        return error_make(ERROR_IO, arena_printf(a, "cannot write %s: %m", table));
    return durable_file(*path, slice_of(text), 0600).code == ERROR_NONE ? OK : error_make(ERROR_IO, arena_printf(a, "cannot write %s: %m", *path));
}

void demo_settle(struct config *c, int port_base)
{
    c->port_base = port_base;
    c->user = "";
    if (!c->dns_table[0] && !c->dns_forward[0])
        c->dns_table = "/dev/null"; /* a folder of an earlier version: no name exists, nothing leaves the machine */
    c->sandbox_folders = "/"; /* `kantorctl --demo DIR backup` and `import` may name any folder */
}

struct filling {
    const char *hash;
    unsigned char keys[LOGINS][SCRAM_KEYS];
    struct arena *arena;
};

static struct error fill(struct sql *db, void *arg)
{
    struct filling *f = arg;
    struct actor who = {0, 0};
    struct account account;
    int64_t ids[N_PEOPLE], domain;
    if (account_find(db, people[0].address, f->arena, &account).code == ERROR_NONE)
        return OK; /* it is there */
    TRY(domain_add(db, SLICE("kantor.example"), &domain));
    TRY(domain_add(db, SLICE("cabang.example"), &domain));
    for (size_t i = 0; i < N_PEOPLE; i++) {
        struct address address;
        TRY(address_parse(people[i].address, f->arena, &address));
        TRY(account_add(db, who, people[i].kind, &address, people[i].title, &ids[i]));
        if (i < LOGINS)
            TRY(password_set(db, ids[i], slice_of(f->hash), f->keys[i]));
    }
    for (size_t i = 0; i < 3; i++)
        TRY(member_add(db, ids[GROUP], ids[i], SLICE("")));
    int all = RIGHT_ALL & ~RIGHT_ADMIN;
    TRY(grant_set(db, who, ids[SHARED], 0, ids[1], all));
    return grant_set(db, who, ids[SHARED], 0, ids[2], all);
}

static struct error is_empty(struct sql *db, struct arena *a, int *empty)
{
    struct domain *all;
    size_t n;
    TRY(domain_list(db, a, &all, &n));
    *empty = n == 0;
    return OK;
}

struct error demo_fill(struct kantord *k)
{
    struct filling f = {.arena = &k->arena};
    int empty = 0;
    struct sql *db = store_reader(k->server.store);
    struct error e = is_empty(db, &k->arena, &empty);
    store_reader_return(&db);
    if (e.code != ERROR_NONE || !empty)
        return e;
    f.hash = password_hash(SLICE(PASSWORD), &k->arena);
    if (!f.hash)
        return error_make(ERROR_MEMORY, "no memory for passwords");
    for (size_t i = 0; i < LOGINS; i++)
        TRY(scram_verifier(k->server.login, people[i].address, SLICE(PASSWORD), f.keys[i]));
    return store_change(k->server.store, fill, &f);
}

void demo_print(const struct kantord *k)
{
    long long base = (long long)k->config.port_base;
    (void)printf("\nPeople (log in with the whole address, password " PASSWORD "):\n");
    for (size_t i = 0; i < LOGINS; i++)
        (void)printf("  %s\n", people[i].address.p);
    (void)printf("Group tim@kantor.example: budi, sari, dewi. Shared mailbox info@kantor.example: sari and dewi.\n"
                 "\nSend a mail and read it:\n"
                 "  printf 'From: budi@kantor.example\\r\\nTo: sari@kantor.example\\r\\nSubject: Halo\\r\\n\\r\\nSelamat pagi!\\r\\n' | \\\n"
                 "    curl -s smtp://127.0.0.1:%lld -u budi@kantor.example:" PASSWORD " --mail-from budi@kantor.example --mail-rcpt sari@kantor.example -T -\n"
                 "  curl -s 'imap://127.0.0.1:%lld/INBOX;MAILINDEX=1' -u sari@kantor.example:" PASSWORD "\n\n",
                 base + 587, base + 143);
}
