/* mail/delivery/list_head.c -- the head of a list's message (RFC 2369, RFC 2919) */
#include "core/clock.h"
#include "mail/delivery/list_internal.h"
#include "mail/mime/header.h"
#include "mail/mime/words.h"

char *list_address(const struct list_job *j, const char *ending)
{
    char *local = arena_printf(j->arena, "%.*s%s", SLICE_ARG(j->own.local), ending);
    struct address x = {slice_of(local), j->own.domain};
    return local ? address_text(&x, j->arena) : NULL;
}

char *list_sender(const struct list_job *j)
{
    char *ending = arena_printf(j->arena, "-bounces-%.*s", SLICE_ARG(j->list.secret));
    return ending ? list_address(j, ending) : NULL;
}

/* A changed subject breaks the signature of an author elsewhere, and his domain's DMARC may have the message refused: then the list is the author by name. */
static bool takes_over(const struct list_job *j)
{
    return j->list.prefix.n && j->author.n && !j->author_ours;
}

/* `"Name via team" <team@kantor.example>`; a name that is not plain text, or encoded words, gives way to the address. */
static void write_author(const struct list_job *j, struct buffer *out)
{
    struct slice name = j->author_name.n ? j->author_name : j->author;
    bool encoded = slice_starts(name, SLICE("=?")), plain = true;
    for (size_t i = 0; i < name.n; i++)
        plain &= name.p[i] >= ' ' && name.p[i] <= '~';
    if (!plain || name.n > 200)
        name = j->author;
    if (plain && encoded) {
        buffer_printf(out, "From: %.*s via <%s>\r\n", SLICE_ARG(name), j->name);
        return;
    }
    buffer_add(out, SLICE("From: \""));
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] != '"' && name.p[i] != '\\')
            buffer_add_char(out, name.p[i]);
    buffer_printf(out, " via %.*s\" <%s>\r\n", SLICE_ARG(j->own.local), j->name);
}

/* What another list, the author's program or a stranger said about lists, receipts and return paths. */
static bool is_dropped(const struct list_job *j, struct slice name)
{
    static const struct slice names[] = {{"Return-Path", 11},    {"Precedence", 10},   {"Errors-To", 9},   {"Disposition-Notification-To", 27},
                                         {"Return-Receipt-To", 17}, {"X-Confirm-Reading-To", 20}, {"List-Id", 7}, {"List-Help", 9},
                                         {"List-Post", 9},       {"List-Owner", 10},   {"List-Archive", 12}, {"List-Subscribe", 14},
                                         {"List-Unsubscribe", 16}, {"List-Unsubscribe-Post", 21}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_eq_nocase(name, names[i]))
            return true;
    return (j->list.reply == LIST_REPLY_LIST || takes_over(j)) && slice_eq_nocase(name, SLICE("Reply-To"));
}

static bool has_prefix(const struct list_job *j, struct slice subject)
{
    struct buffer text = {0};
    words_decode(header_unfold(subject, j->arena), &text);
    struct slice s = buffer_slice(&text);
    bool has = s.n >= j->list.prefix.n && memmem(s.p, s.n, j->list.prefix.p, j->list.prefix.n) != NULL;
    buffer_free(&text);
    return has;
}

/* List-Id: letters, digits, dots and dashes of the address (RFC 2919 2: dot-atom-text). */
static void write_id(const struct list_job *j, struct buffer *out)
{
    buffer_add(out, SLICE("List-Id: <"));
    for (size_t i = 0; i < j->own.local.n; i++)
        buffer_add_char(out, ascii_is_alnum(j->own.local.p[i]) || j->own.local.p[i] == '.' || j->own.local.p[i] == '_' ? j->own.local.p[i] : '-');
    buffer_printf(out, ".%.*s>\r\n", SLICE_ARG(j->own.domain));
}

static void write_own(const struct list_job *j, struct buffer *out)
{
    const char *leave = list_address(j, "-leave"), *owner = list_address(j, "-owner");
    write_id(j, out);
    if (j->list.posting == LIST_OWNER_ONLY)
        buffer_add(out, SLICE("List-Post: NO\r\n")); /* RFC 2369 3.4 */
    else
        buffer_printf(out, "List-Post: <mailto:%s>\r\n", j->name);
    buffer_printf(out, "List-Help: <mailto:%s?subject=help>\r\nList-Owner: <mailto:%s>\r\n", owner ? owner : "", owner ? owner : "");
    buffer_printf(out, "List-Unsubscribe: <mailto:%s?subject=leave>\r\nPrecedence: list\r\n", leave ? leave : "");
    if (j->list.reply == LIST_REPLY_LIST)
        buffer_printf(out, "Reply-To: <%s>\r\n", j->name);
    else if (takes_over(j))
        buffer_printf(out, "Reply-To: <%.*s>\r\n", SLICE_ARG(j->author));
}

void list_head_write(const struct list_job *j, struct slice head, struct buffer *out)
{
    struct header_field f;
    bool subject = false;
    const char *sender = list_sender(j);
    buffer_printf(out, "Return-Path: <%s>\r\nDelivered-To: %s\r\n", sender ? sender : "", j->name);
    write_own(j, out);
    while (header_next(&head, &f)) {
        if (is_dropped(j, f.name))
            continue;
        if (takes_over(j) && slice_eq_nocase(f.name, SLICE("From"))) {
            write_author(j, out);
            buffer_add(out, SLICE("X-Original-"));
            buffer_add(out, f.whole);
            continue;
        }
        if (!subject && j->list.prefix.n && slice_eq_nocase(f.name, SLICE("Subject")) && !has_prefix(j, f.value)) {
            buffer_printf(out, "Subject: %.*s ", SLICE_ARG(j->list.prefix));
            buffer_add(out, slice_trim(f.value));
            buffer_add(out, SLICE("\r\n"));
        } else {
            buffer_add(out, f.whole);
        }
        subject |= slice_eq_nocase(f.name, SLICE("Subject"));
    }
    if (!subject && j->list.prefix.n)
        buffer_printf(out, "Subject: %.*s (no subject)\r\n", SLICE_ARG(j->list.prefix));
}
