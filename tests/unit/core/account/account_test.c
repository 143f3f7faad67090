/* Addresses in one form, accounts with their mailboxes, and where mail for an address goes */
#include "core/clock.h"
#include "tests/unit/core/account/world.h"

/* --- addresses */

static void an_address_has_one_form(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *text, *form; /* form NULL: refused */
    } table[] = {
        {"Budi+News@KANTOR.example.", "budi+news@kantor.example"},
        {"budi@kantor.example", "budi@kantor.example"},
        {"\"budi\"@kantor.example", "budi@kantor.example"},
        {"\"bu di\"@kantor.example", "\"bu di\"@kantor.example"},
        {"\"b\\\"d@i\"@kantor.example", "\"b\\\"d@i\"@kantor.example"},
        {"\xC3\xBCser@kantor.example", "\xC3\xBCser@kantor.example"},
        {"u\xCC\x88ser@kantor.example", "\xC3\xBCser@kantor.example"},                /* NFD */
        {"\xE2\x84\xAA@kantor.example", "k@kantor.example"},                          /* the Kelvin sign */
        {"u@b\xC3\xBC" "cher.example", "u@xn--bcher-kva.example"},
        {"u@XN--BCHER-KVA.example", "u@xn--bcher-kva.example"},
        {"u@kantor\xE3\x80\x82" "example", "u@kantor.example"},                       /* full-width dot */
        {"u@k\xD0\xB0ntor.example", "u@xn--kntor-4ve.example"},                       /* Cyrillic а: foreign */
        {"Stra\xC3\x9F" "e@kantor.example", "stra\xC3\x9F" "e@kantor.example"},
        {"u@stra\xC3\x9F" "e.example", "u@xn--strae-oqa.example"},
        {"u@[192.0.2.1]", "u@[192.0.2.1]"},
        {"u@[IPv6:2001:DB8::1]", "u@[ipv6:2001:db8::1]"},
        {"*@kantor.example", "*@kantor.example"},
        {"", NULL}, {"@", NULL}, {"budi", NULL}, {"@kantor.example", NULL}, {"budi@", NULL}, {"budi@.", NULL}, {".budi@kantor.example", NULL},
        {"budi.@kantor.example", NULL}, {"bu..di@kantor.example", NULL}, {"bu di@kantor.example", NULL}, {"\"\"@kantor.example", NULL}, {"budi@kantor..example", NULL},
        {"budi@-kantor.example", NULL}, {"budi@kan tor.example", NULL}, {"budi@kan\xC2\xA0tor.example", NULL}, {"budi@(kantor).example", NULL}, {"a\x01@kantor.example", NULL}, {"\xFF@kantor.example", NULL}, {"\"a\"b\"@kantor.example", NULL},
        {"\"a\\\"@kantor.example", NULL}, {"<budi@kantor.example>", NULL}, {"u@[1.2.3.4", NULL}, {"u@[1.2 3]", NULL},
        {"u@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct address x;
        struct error e = address_parse(slice_of(table[i].text), &w->arena, &x);
        if (table[i].form ? e.code != ERROR_NONE : e.code != ERROR_INVALID)
            fail_msg("%s: %d", table[i].text, e.code);
        if (table[i].form)
            assert_string_equal(address_text(&x, &w->arena), table[i].form);
    }
}

static void a_nul_in_an_address_is_refused(void **state)
{
    struct world *w = *state;
    struct address x;
    assert_int_equal(address_parse(SLICE("bu\0di@kantor.example"), &w->arena, &x).code, ERROR_INVALID);
    assert_int_equal(address_parse(SLICE("budi@kantor\0.example"), &w->arena, &x).code, ERROR_INVALID);
    assert_int_equal(address_parse(SLICE("\"a\0b\"@kantor.example"), &w->arena, &x).code, ERROR_INVALID);
}

/* --- accounts */

static void a_new_person_has_subscribed_mailboxes_with_roles(void **state)
{
    struct world *w = *state;
    static const enum collection_role roles[] = {ROLE_INBOX, ROLE_DRAFTS, ROLE_SENT, ROLE_TRASH, ROLE_JUNK, ROLE_ARCHIVE};
    int64_t id = add(w, ACCOUNT_PERSON, "Budi@kantor.example");
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    struct account account;
    struct collection box;
    struct slice *names;
    size_t n;
    assert_int_equal(account_find(db, SLICE("BUDI@kantor.example"), &w->arena, &account).code, ERROR_NONE);
    assert_int_equal(account.id, id);
    assert_true(slice_eq(account.name, SLICE("budi@kantor.example")));
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(collection_find_role(db, id, COLLECTION_MAILBOX, roles[i], &w->arena, &box).code, ERROR_NONE);
    assert_int_equal(subscription_list(db, id, &w->arena, &names, &n).code, ERROR_NONE);
    assert_int_equal(n, 6);
}

static void a_name_is_given_once_and_only_in_our_domains(void **state)
{
    struct world *w = *state;
    int64_t id = add(w, ACCOUNT_PERSON, "budi@kantor.example");
    assert_int_equal(step(w, (struct step){.what = ADD, .text = "BUDI@Kantor.example", .number = ACCOUNT_PERSON}), ERROR_EXISTS);
    assert_int_equal(step(w, (struct step){.what = ADD, .text = "budi@elsewhere.example", .number = ACCOUNT_PERSON}), ERROR_NOT_FOUND);
    assert_int_equal(step(w, (struct step){.what = ADD, .text = "*@kantor.example", .number = ACCOUNT_PERSON}), ERROR_INVALID);
    assert_int_equal(step(w, (struct step){.what = ALIAS, .text = "b@cabang.example", .account = id}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = ADD, .text = "b@cabang.example", .number = ACCOUNT_PERSON}), ERROR_EXISTS);
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    struct account *all;
    size_t n;
    assert_int_equal(account_list(db, 0, &w->arena, &all, &n).code, ERROR_NONE);
    assert_int_equal(n, 1); /* what failed left nothing behind */
}

static void a_deleted_account_frees_its_names(void **state)
{
    struct world *w = *state;
    int64_t id = add(w, ACCOUNT_PERSON, "budi@kantor.example");
    assert_int_equal(step(w, (struct step){.what = STATE, .account = id, .number = ACCOUNT_DELETED}), ERROR_NONE);
    assert_int_not_equal(add(w, ACCOUNT_PERSON, "budi@kantor.example"), id);
    assert_int_equal(step(w, (struct step){.what = STATE, .account = 4711, .number = ACCOUNT_SUSPENDED}), ERROR_NOT_FOUND);
}

static struct error remove_domain(struct sql *db, void *arg)
{
    struct domain d;
    struct world *w = arg;
    TRY(domain_find(db, SLICE("cabang.example"), &w->arena, &d));
    return domain_remove(db, d.id);
}

static void a_domain_is_removed_only_when_nobody_stands_in_it(void **state)
{
    struct world *w = *state;
    int64_t budi = add(w, ACCOUNT_PERSON, "budi@kantor.example"), rina = add(w, ACCOUNT_PERSON, "rina@cabang.example");
    struct address_row *rows;
    size_t n;
    assert_int_equal(step(w, (struct step){.what = ALIAS, .text = "b@cabang.example", .account = budi}), ERROR_NONE);
    assert_int_equal(store_change(w->store, remove_domain, w).code, ERROR_CONFLICT);
    assert_int_equal(step(w, (struct step){.what = STATE, .account = rina, .number = ACCOUNT_DELETED}), ERROR_NONE);
    assert_int_equal(store_change(w->store, remove_domain, w).code, ERROR_NONE);
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    assert_int_equal(address_list(db, budi, &w->arena, &rows, &n).code, ERROR_NONE);
    assert_int_equal(n, 1);
}

static void many_accounts_are_made_in_batches_and_the_command_can_be_repeated(void **state)
{
    struct world *w = *state;
    int64_t added;
    assert_int_equal(account_add_many(w->store, SLICE("user"), 120, SLICE("kantor.example"), SLICE(""), &added).code, ERROR_NONE);
    assert_int_equal(added, 120);
    assert_int_equal(account_add_many(w->store, SLICE("user"), 130, SLICE("kantor.example"), SLICE(""), &added).code, ERROR_NONE);
    assert_int_equal(added, 10);
    assert_int_equal(account_add_many(w->store, SLICE("user"), 0, SLICE("kantor.example"), SLICE(""), &added).code, ERROR_INVALID);
    assert_int_equal(account_add_many(w->store, SLICE("user"), 1, SLICE("no.example"), SLICE(""), &added).code, ERROR_NOT_FOUND);
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    struct account a;
    assert_int_equal(account_find(db, SLICE("user130@kantor.example"), &w->arena, &a).code, ERROR_NONE);
}

/* --- resolving */

static struct error resolve(struct world *w, const char *text, struct resolved *out)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    struct address x = strcmp(text, "postmaster") == 0 ? (struct address){SLICE("postmaster"), SLICE("")} : address_of(w, text);
    return address_resolve(db, &x, &w->arena, out);
}

static void goes_to(struct world *w, const char *text, int64_t account)
{
    struct resolved r;
    struct error e = resolve(w, text, &r);
    if (e.code != ERROR_NONE || r.n_accounts != 1 || r.accounts[0] != account || r.n_foreign)
        fail_msg("%s: %d, %zu accounts, %zu foreign", text, e.code, r.n_accounts, r.n_foreign);
}

static void an_address_resolves_exactly_then_without_detail_then_to_the_catch_all(void **state)
{
    struct world *w = *state;
    struct resolved r;
    int64_t budi = add(w, ACCOUNT_PERSON, "budi@kantor.example"), sari = add(w, ACCOUNT_SHARED, "info+sales@kantor.example"), rina = add(w, ACCOUNT_PERSON, "rina@cabang.example");
    goes_to(w, "BUDI@Kantor.Example", budi);
    goes_to(w, "budi+a+b@kantor.example", budi);
    assert_int_equal(resolve(w, "budi+a+b@kantor.example", &r).code, ERROR_NONE);
    assert_true(slice_eq(r.detail, SLICE("a+b")));
    goes_to(w, "info+sales@kantor.example", sari);
    assert_int_equal(resolve(w, "info@kantor.example", &r).code, ERROR_NOT_FOUND);
    assert_int_equal(resolve(w, "+budi@kantor.example", &r).code, ERROR_NOT_FOUND);
    assert_int_equal(resolve(w, "budi@foreign.example", &r).code, ERROR_UNSUPPORTED);
    assert_int_equal(step(w, (struct step){.what = ALIAS, .text = "*@cabang.example", .account = budi}), ERROR_NONE);
    goes_to(w, "whoever+x@cabang.example", budi);
    goes_to(w, "rina@cabang.example", rina);
    goes_to(w, "postmaster", budi);
    goes_to(w, "postmaster@kantor.example", budi);
    assert_int_equal(step(w, (struct step){.what = ALIAS, .text = "postmaster@kantor.example", .account = sari}), ERROR_NONE);
    goes_to(w, "postmaster", sari);
    assert_int_equal(step(w, (struct step){.what = STATE, .account = budi, .number = ACCOUNT_SUSPENDED}), ERROR_NONE);
    assert_int_equal(resolve(w, "budi@kantor.example", &r).code, ERROR_DENIED);
}

static void groups_unfold_each_member_once_and_no_group_contains_itself(void **state)
{
    struct world *w = *state;
    struct resolved r;
    int64_t budi = add(w, ACCOUNT_PERSON, "budi@kantor.example"), sari = add(w, ACCOUNT_PERSON, "sari@kantor.example");
    int64_t tim = add(w, ACCOUNT_GROUP, "tim@kantor.example"), all = add(w, ACCOUNT_GROUP, "all@kantor.example");
    assert_int_equal(resolve(w, "tim@kantor.example", &r).code, ERROR_DENIED); /* nobody is in it: saying yes would lose mail */
    assert_int_equal(step(w, (struct step){.what = MEMBER, .account = tim, .other = budi}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = MEMBER, .account = tim, .other = sari}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = MEMBER, .account = all, .other = tim}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = MEMBER, .account = all, .other = budi}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = MEMBER, .account = tim, .other = all}), ERROR_CONFLICT);
    assert_int_equal(step(w, (struct step){.what = FOREIGN, .account = tim, .text = "x@foreign.example"}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = FOREIGN, .account = all, .text = "x@foreign.example"}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = FOREIGN, .account = all, .text = "sari+team@kantor.example"}), ERROR_NONE);
    assert_int_equal(resolve(w, "all@kantor.example", &r).code, ERROR_NONE);
    assert_int_equal(r.n_accounts, 2);
    assert_int_equal(r.n_foreign, 1);
    assert_int_equal(step(w, (struct step){.what = STATE, .account = sari, .number = ACCOUNT_SUSPENDED}), ERROR_NONE);
    assert_int_equal(resolve(w, "all@kantor.example", &r).code, ERROR_NONE);
    assert_int_equal(r.n_accounts, 1);
    assert_int_equal(step(w, (struct step){.what = MEMBER, .account = tim, .other = tim}), ERROR_NOT_FOUND);
    assert_int_equal(step(w, (struct step){.what = MEMBER, .account = budi, .other = sari}), ERROR_NOT_FOUND);
    assert_int_equal(step(w, (struct step){.what = MEMBER, .account = tim, .other = 999}), ERROR_NOT_FOUND);
}

struct naming {
    struct world *w;
    int64_t account;
    const char *text;
    enum { REMOVE, RESTORE, RENAME, DOMAIN_ALIAS } what;
};

static struct error naming_change(struct sql *db, void *arg)
{
    struct naming *x = arg;
    if (x->what == REMOVE)
        return account_remove(db, x->account, clock_now() + 60);
    if (x->what == RESTORE)
        return account_restore(db, x->account);
    if (x->what == DOMAIN_ALIAS)
        return domain_alias_add(db, slice_of(x->text), SLICE("kantor.example"));
    struct address address = address_of(x->w, x->text);
    return account_rename(db, x->account, &address, ACCOUNT_KEEP_OLD_NAME);
}

static enum error_code name_step(struct world *w, struct naming x)
{
    x.w = w;
    return store_change(w->store, naming_change, &x).code;
}

static void a_removed_account_keeps_its_address_and_comes_back_until_it_is_purged(void **state)
{
    struct world *w = *state;
    struct resolved r;
    int64_t n, budi = add(w, ACCOUNT_PERSON, "budi@kantor.example");
    assert_int_equal(name_step(w, (struct naming){.account = budi, .what = REMOVE}), ERROR_NONE);
    assert_int_equal(resolve(w, "budi@kantor.example", &r).code, ERROR_NOT_FOUND);
    assert_int_equal(step(w, (struct step){.what = ADD, .text = "budi@kantor.example", .number = ACCOUNT_PERSON}), ERROR_EXISTS);
    assert_int_equal(name_step(w, (struct naming){.account = budi, .what = RESTORE}), ERROR_NONE);
    goes_to(w, "budi@kantor.example", budi);
    assert_int_equal(name_step(w, (struct naming){.account = budi, .what = REMOVE}), ERROR_NONE);
    assert_int_equal(account_purge(w->store, 0, &n).code, ERROR_NONE);
    assert_int_equal(n, 0); /* its date has not come */
    clock_set_fake(clock_now() + 61);
    assert_int_equal(account_purge(w->store, 0, &n).code, ERROR_NONE);
    clock_set_fake(0);
    assert_int_equal(n, 1);
    assert_int_equal(name_step(w, (struct naming){.account = budi, .what = RESTORE}), ERROR_CONFLICT);
    assert_true(add(w, ACCOUNT_PERSON, "budi@kantor.example") > budi); /* the address is free, the id is not */
}

static void a_renamed_account_has_both_addresses_and_an_alias_domain_means_its_target(void **state)
{
    struct world *w = *state;
    int64_t budi = add(w, ACCOUNT_PERSON, "budi@kantor.example"), sari = add(w, ACCOUNT_PERSON, "sari@kantor.example");
    assert_int_equal(name_step(w, (struct naming){.account = budi, .text = "budiman@cabang.example", .what = RENAME}), ERROR_NONE);
    goes_to(w, "budi@kantor.example", budi);
    goes_to(w, "budiman@cabang.example", budi);
    assert_int_equal(name_step(w, (struct naming){.account = budi, .text = "sari@kantor.example", .what = RENAME}), ERROR_EXISTS);
    assert_int_equal(name_step(w, (struct naming){.account = budi, .text = "budi@kantor.example", .what = RENAME}), ERROR_NONE); /* and back */
    goes_to(w, "budiman@cabang.example", budi);
    assert_int_equal(name_step(w, (struct naming){.text = "kantor.test", .what = DOMAIN_ALIAS}), ERROR_NONE);
    goes_to(w, "sari@kantor.test", sari);
}

static void the_detail_begins_at_the_configured_characters(void **state)
{
    struct world *w = *state;
    struct resolved r;
    int64_t budi = add(w, ACCOUNT_PERSON, "budi@kantor.example");
    address_set_separators("-=");
    goes_to(w, "budi-news@kantor.example", budi);
    goes_to(w, "budi=news@kantor.example", budi);
    assert_int_equal(resolve(w, "budi+news@kantor.example", &r).code, ERROR_NOT_FOUND);
    address_set_separators("");
    assert_int_equal(resolve(w, "budi-news@kantor.example", &r).code, ERROR_NOT_FOUND);
    address_set_separators("+");
    goes_to(w, "budi+news@kantor.example", budi);
}

static void groups_nest_ten_deep_and_one_more_is_refused(void **state)
{
    struct world *w = *state;
    struct resolved r;
    int64_t below = add(w, ACCOUNT_PERSON, "budi@kantor.example"), sari = add(w, ACCOUNT_PERSON, "sari@kantor.example");
    for (int i = 1; i <= 11; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "g%d@kantor.example", i);
        int64_t g = add(w, ACCOUNT_GROUP, name);
        assert_int_equal(step(w, (struct step){.what = MEMBER, .account = g, .other = below}), ERROR_NONE);
        below = g;
    }
    assert_int_equal(step(w, (struct step){.what = MEMBER, .account = below, .other = sari}), ERROR_NONE);
    assert_int_equal(resolve(w, "g10@kantor.example", &r).code, ERROR_NONE);
    assert_int_equal(r.n_accounts, 1);
    assert_int_equal(resolve(w, "g11@kantor.example", &r).code, ERROR_DENIED);
}

static void forwards_leave_the_house_or_come_back_in(void **state)
{
    struct world *w = *state;
    struct resolved r;
    int64_t budi = add(w, ACCOUNT_PERSON, "budi@kantor.example");
    assert_int_equal(step(w, (struct step){.what = FORWARD, .text = "out@kantor.example", .target = "o@foreign.example", .account = budi}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = FORWARD, .text = "in@kantor.example", .target = "budi@kantor.example", .account = budi}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = FORWARD, .text = "x@kantor.example", .target = "y@kantor.example"}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = FORWARD, .text = "y@kantor.example", .target = "x@kantor.example"}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = FORWARD, .text = "budi@kantor.example", .target = "b@foreign.example"}), ERROR_NONE);
    assert_int_equal(resolve(w, "out@kantor.example", &r).code, ERROR_NONE);
    assert_int_equal(r.n_accounts, 0);
    assert_true(r.n_foreign == 1 && slice_eq(r.foreign[0], SLICE("o@foreign.example")));
    assert_int_equal(resolve(w, "in@kantor.example", &r).code, ERROR_NONE); /* to the mailbox, and on from there */
    assert_true(r.n_accounts == 1 && r.accounts[0] == budi && r.n_foreign == 1);
    assert_int_equal(resolve(w, "x@kantor.example", &r).code, ERROR_DENIED); /* a circle that leads to nobody */
}

static enum error_code owned(struct world *w, int64_t account, const char *text)
{
    SCOPED(store_reader_return) struct sql *db = store_reader(w->store);
    struct address x = address_of(w, text);
    return address_owned(db, account, &x).code;
}

static void one_sends_with_the_own_addresses_only(void **state)
{
    struct world *w = *state;
    int64_t budi = add(w, ACCOUNT_PERSON, "budi@kantor.example"), sari = add(w, ACCOUNT_PERSON, "sari@kantor.example");
    assert_int_equal(step(w, (struct step){.what = ALIAS, .text = "b@cabang.example", .account = budi}), ERROR_NONE);
    assert_int_equal(step(w, (struct step){.what = ALIAS, .text = "*@cabang.example", .account = budi}), ERROR_NONE);
    assert_int_equal(owned(w, budi, "Budi@kantor.example"), ERROR_NONE);
    assert_int_equal(owned(w, budi, "budi+x@kantor.example"), ERROR_NONE);
    assert_int_equal(owned(w, budi, "b@cabang.example"), ERROR_NONE);
    assert_int_equal(owned(w, budi, "sari@kantor.example"), ERROR_DENIED);
    assert_int_equal(owned(w, budi, "anyone@cabang.example"), ERROR_DENIED);
    assert_int_equal(owned(w, budi, "*@cabang.example"), ERROR_DENIED);
    assert_int_equal(owned(w, budi, "budi@foreign.example"), ERROR_DENIED);
    assert_int_equal(owned(w, sari, "budi@kantor.example"), ERROR_DENIED);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, world_open, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(an_address_has_one_form),
        IN_A_WORLD(a_nul_in_an_address_is_refused),
        IN_A_WORLD(a_new_person_has_subscribed_mailboxes_with_roles),
        IN_A_WORLD(a_name_is_given_once_and_only_in_our_domains),
        IN_A_WORLD(a_deleted_account_frees_its_names),
        IN_A_WORLD(a_domain_is_removed_only_when_nobody_stands_in_it),
        IN_A_WORLD(many_accounts_are_made_in_batches_and_the_command_can_be_repeated),
        IN_A_WORLD(an_address_resolves_exactly_then_without_detail_then_to_the_catch_all),
        IN_A_WORLD(groups_unfold_each_member_once_and_no_group_contains_itself),
        IN_A_WORLD(groups_nest_ten_deep_and_one_more_is_refused),
        IN_A_WORLD(a_removed_account_keeps_its_address_and_comes_back_until_it_is_purged),
        IN_A_WORLD(a_renamed_account_has_both_addresses_and_an_alias_domain_means_its_target),
        IN_A_WORLD(the_detail_begins_at_the_configured_characters),
        IN_A_WORLD(forwards_leave_the_house_or_come_back_in),
        IN_A_WORLD(one_sends_with_the_own_addresses_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
