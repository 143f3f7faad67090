/* mail/sieve/date.c -- dates of fields and of now, by parts (RFC 5260 4 and 5) */
#include "mail/mime/date.h"

#include <stdio.h>
#include <time.h>

#include "mail/mime/header.h"
#include "mail/sieve/internal.h"

enum part { PART_YEAR, PART_MONTH, PART_DAY, PART_DATE, PART_JULIAN, PART_HOUR, PART_MINUTE, PART_SECOND, PART_TIME, PART_ISO8601, PART_STD11, PART_ZONE, PART_WEEKDAY, PARTS };

static const char *const part_names[PARTS] = {"year", "month", "day", "date", "julian", "hour", "minute", "second", "time", "iso8601", "std11", "zone", "weekday"};

static enum part part_named(struct slice name)
{
    int i = 0;
    while (i < PARTS && !slice_eq_nocase(name, slice_of(part_names[i])))
        i++;
    return (enum part)i;
}

bool date_part_known(struct slice name) { return part_named(name) != PARTS; }

bool zone_read(struct slice text, int *minutes)
{
    uint64_t number;
    if (text.n != 5 || (text.p[0] != '+' && text.p[0] != '-') || !slice_number(slice_after(text, 1), 9999, &number) || number % 100 > 59)
        return false;
    *minutes = (int)(number / 100 * 60 + number % 100);
    if (text.p[0] == '-')
        *minutes = -*minutes;
    return true;
}

static struct slice write_part(struct sieve_run *r, enum part part, int64_t at, int zone)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t local = (time_t)(at + 60 * (int64_t)zone);
    int far = zone < 0 ? -zone : zone;
    char sign = zone < 0 ? '-' : '+';
    struct tm t = {0};
    char text[80] = "";
    (void)gmtime_r(&local, &t);
    int year = t.tm_year + 1900, month = t.tm_mon + 1;
    switch (part) {
    case PART_YEAR: snprintf(text, sizeof text, "%04d", year); break;
    case PART_MONTH: snprintf(text, sizeof text, "%02d", month); break;
    case PART_DAY: snprintf(text, sizeof text, "%02d", t.tm_mday); break;
    case PART_DATE: snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, t.tm_mday); break;
    case PART_JULIAN: snprintf(text, sizeof text, "%lld", (long long)date_day(at, zone) + 40587); break; /* modified Julian day */
    case PART_HOUR: snprintf(text, sizeof text, "%02d", t.tm_hour); break;
    case PART_MINUTE: snprintf(text, sizeof text, "%02d", t.tm_min); break;
    case PART_SECOND: snprintf(text, sizeof text, "%02d", t.tm_sec); break;
    case PART_TIME: snprintf(text, sizeof text, "%02d:%02d:%02d", t.tm_hour, t.tm_min, t.tm_sec); break;
    case PART_ISO8601:
        snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d", year, month, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, sign, far / 60, far % 60);
        break;
    case PART_STD11:
        snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d %c%02d%02d", days[t.tm_wday % 7], t.tm_mday, months[t.tm_mon % 12], year, t.tm_hour, t.tm_min, t.tm_sec, sign, far / 60, far % 60);
        break;
    case PART_ZONE: snprintf(text, sizeof text, "%c%02d%02d", sign, far / 60, far % 60); break;
    default: snprintf(text, sizeof text, "%d", t.tm_wday); break;
    }
    return arena_copy(r->arena, slice_of(text));
}

/* The zone a test wants, and the part. */
static struct error read_wishes(struct sieve_run *r, const struct sieve_node *n, const struct sieve_value *part_value, enum part *part, int *zone)
{
    const struct sieve_value *v = node_tag_value(n, G_ZONE);
    struct slice text;
    TRY(value_string(r, part_value, &text));
    *part = part_named(text);
    if (*part == PARTS)
        return run_fail(r, n, "The test names a part that a date does not have.");
    *zone = r->m->zone;
    if (!v)
        return OK;
    TRY(value_string(r, v, &text));
    return zone_read(text, zone) ? OK : run_fail(r, n, "A time zone looks like \"+0700\".");
}

/* The date of a field: all of it, or what stands behind the last semicolon (Received). */
static bool field_date(struct slice value, int64_t *at, int *zone)
{
    size_t i = value.n;
    while (i > 0 && value.p[i - 1] != ';')
        i--;
    return date_read(slice_after(value, i), at, zone);
}

struct error date_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    const struct sieve_tag *how = node_tag(n, G_ZONE);
    struct matcher m;
    struct slice name;
    enum part part;
    int zone, own;
    int64_t at;
    TRY(matcher_begin(r, n, &n->at[2], &m));
    TRY(value_string(r, &n->at[0], &name));
    TRY(read_wishes(r, n, &n->at[1], &part, &zone));
    size_t seen = 0, total = 0;
    TRY(run_steps(r, 4 * r->n_fields));
    for (size_t i = 0; i < r->n_fields; i++)
        total += slice_eq_nocase(r->fields[i].name, name);
    for (size_t i = 0; i < r->n_fields && !m.found; i++) {
        if (name.n == 0 || !slice_eq_nocase(r->fields[i].name, name) || !index_wanted(n, seen++, total))
            continue;
        TRY(run_steps(r, r->fields[i].raw.n));
        if (!field_date(header_unfold(r->fields[i].raw, r->arena), &at, &own))
            continue;
        struct slice value = write_part(r, part, at, how && how->id == TAG_ORIGINALZONE ? own : zone);
        if (!value.p)
            return sieve_no_memory();
        TRY(matcher_value(&m, value));
    }
    return matcher_end(&m, out);
}

struct error currentdate_test(struct sieve_run *r, const struct sieve_node *n, bool *out)
{
    struct matcher m;
    enum part part;
    int zone;
    TRY(matcher_begin(r, n, &n->at[1], &m));
    TRY(read_wishes(r, n, &n->at[0], &part, &zone));
    struct slice value = write_part(r, part, r->m->now, zone);
    if (!value.p)
        return sieve_no_memory();
    TRY(matcher_value(&m, value));
    return matcher_end(&m, out);
}
