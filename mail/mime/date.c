/* mail/mime/date.c -- own arithmetic: the C library's knows locales and time zones that have no place here */
#include "mail/mime/date.h"

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char day_names[] = "ThuFriSatSunMonTueWed"; /* the epoch was a Thursday */

/* Days since the epoch of a civil date (proleptic Gregorian), years 0 to 9999. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void civil_of(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097, of_era = days - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100), mp = (5 * of_year + 2) / 153;
    *day = of_year - (153 * mp + 2) / 5 + 1;
    *month = mp + (mp < 10 ? 3 : -9);
    *year = y + era * 400 + (*month <= 2);
}

static int days_in(int month, uint64_t year)
{
    static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && year % 4 == 0 && (year % 100 || year % 400 == 0) ? 29 : days[month - 1];
}

static int64_t clamp(int64_t at)
{
    return at < 0 ? 0 : at > 253402300799 ? 253402300799 : at;
}

static int month_of(struct slice s)
{
    if (s.n < 3)
        return 0;
    for (int i = 0; i < 12; i++)
        if (slice_eq_nocase(slice_first(s, 3), slice_make(month_names + 3 * i, 3)))
            return i + 1;
    return 0;
}

/* The next word: letters, digits with inner signs, over blanks, commas and comments. */
static struct slice word(struct slice *s)
{
    int depth = 0;
    size_t i = 0;
    for (; i < s->n; i++) {
        char c = s->p[i];
        if (c == '(')
            depth++;
        else if (c == ')' && depth)
            depth--;
        else if (!depth && !ascii_is_space(c) && c != ',')
            break;
    }
    *s = slice_after(*s, i);
    i = 0;
    while (i < s->n && !ascii_is_space(s->p[i]) && s->p[i] != ',' && s->p[i] != '(')
        i++;
    struct slice w = slice_first(*s, i);
    *s = slice_after(*s, i);
    return w;
}

static bool read_clock(struct slice w, int64_t *seconds)
{
    uint64_t part[3] = {0};
    int n = 0;
    while (w.n && n < 3) {
        struct slice one = slice_first(w, slice_find(w, ':'));
        if (!slice_number(slice_first(one, slice_find(one, '.')), 99, &part[n++]))
            return false;
        w = slice_after(w, one.n + 1);
    }
    *seconds = (int64_t)(part[0] * 3600 + part[1] * 60 + part[2]);
    return n >= 2 && part[0] < 24 && part[1] < 60 && part[2] <= 60;
}

static int read_zone(struct slice w)
{
    static const struct {
        char name[4];
        int hours;
    } names[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5}, {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};
    uint64_t number;
    if (w.n == 5 && (w.p[0] == '+' || w.p[0] == '-') && slice_number(slice_after(w, 1), 9959, &number)) {
        int minutes = (int)(number / 100 * 60 + number % 100);
        return minutes > 24 * 60 ? 0 : w.p[0] == '-' ? -minutes : minutes;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_eq_nocase(w, slice_make(names[i].name, 3)))
            return names[i].hours * 60;
    return 0; /* UT, GMT, Z, military letters (RFC 5322 4.3: unreliable), nothing */
}

/* The first words of a date: day, month and year in one of three orders. */
struct civil {
    uint64_t day, year;
    int month;
    int64_t seconds;
    struct slice zone; /* p NULL: still to come, as is the time */
};

static bool read_year(struct slice w, struct civil *x)
{
    if (!slice_number(w, UINT64_MAX, &x->year))
        return false;
    if (w.n <= 2) /* RFC 5322 4.3 */
        x->year += x->year < 50 ? 2000 : 1900;
    else if (w.n == 3)
        x->year += 1900;
    if (x->year > 9999)
        x->year = 9999; /* date_read clamps */
    return true;
}

/* "Nov 24 15:00:00 [zone] 2026", as C's asctime and date(1) write it; or "Nov 24, 2026 15:00". */
static bool read_month_first(struct slice month, struct slice *s, struct civil *x)
{
    x->month = month_of(month);
    if (!x->month || !slice_number(word(s), 31, &x->day))
        return false;
    struct slice w = word(s);
    if (slice_find(w, ':') == w.n)
        return read_year(w, x);
    if (!read_clock(w, &x->seconds))
        return false;
    x->zone = SLICE("");
    w = word(s);
    if (w.n && ascii_is_digit(w.p[0]))
        return read_year(w, x);
    x->zone = w;
    return read_year(word(s), x);
}

static bool read_civil(struct slice *s, struct civil *x)
{
    struct slice w = word(s);
    size_t dash;
    if (w.n && !ascii_is_digit(w.p[0]) && !(month_of(w) && w.n == 3))
        w = word(s); /* the day's name */
    if (w.n && !ascii_is_digit(w.p[0]))
        return read_month_first(w, s, x);
    dash = slice_find(w, '-');
    if (dash < w.n) { /* 24-Nov-2026, seen in old mail */
        struct slice rest = slice_after(w, dash + 1);
        x->month = month_of(rest);
        return slice_number(slice_first(w, dash), 31, &x->day) && x->month && read_year(slice_after(rest, slice_find(rest, '-') + 1), x);
    }
    if (!slice_number(w, 31, &x->day))
        return false;
    x->month = month_of(word(s));
    return x->month && read_year(word(s), x);
}

bool date_read(struct slice value, int64_t *at, int *zone)
{
    struct slice s = slice_first(value, 1000);
    struct civil x = {0};
    if (!read_civil(&s, &x) || x.day == 0 || (int)x.day > days_in(x.month, x.year))
        return false;
    if (!x.zone.p) {
        struct slice w = word(&s);
        if (w.n && !read_clock(w, &x.seconds))
            return false;
        x.zone = word(&s);
    }
    int minutes = read_zone(x.zone);
    if (zone)
        *zone = minutes;
    *at = clamp(days_of((int64_t)x.year, x.month, (int64_t)x.day) * 86400 + x.seconds - minutes * 60);
    return true;
}

static void two(struct buffer *out, int64_t n)
{
    buffer_add_char(out, (char)('0' + n / 10 % 10));
    buffer_add_char(out, (char)('0' + n % 10));
}

static void clock_text(struct buffer *out, int64_t seconds)
{
    two(out, seconds / 3600);
    buffer_add_char(out, ':');
    two(out, seconds / 60 % 60);
    buffer_add_char(out, ':');
    two(out, seconds % 60);
}

void date_write(int64_t at, struct buffer *out)
{
    int64_t year, month, day;
    at = clamp(at);
    civil_of(at / 86400, &year, &month, &day);
    buffer_add(out, slice_make(day_names + 3 * (at / 86400 % 7), 3));
    buffer_add(out, SLICE(", "));
    two(out, day);
    buffer_add_char(out, ' ');
    buffer_add(out, slice_make(month_names + 3 * (month - 1), 3));
    buffer_add_char(out, ' ');
    two(out, year / 100);
    two(out, year % 100);
    buffer_add_char(out, ' ');
    clock_text(out, at % 86400);
    buffer_add(out, SLICE(" +0000"));
}

void date_write_imap(int64_t at, struct buffer *out)
{
    int64_t year, month, day;
    at = clamp(at);
    civil_of(at / 86400, &year, &month, &day);
    buffer_add_char(out, day < 10 ? ' ' : (char)('0' + day / 10));
    buffer_add_char(out, (char)('0' + day % 10));
    buffer_add_char(out, '-');
    buffer_add(out, slice_make(month_names + 3 * (month - 1), 3));
    buffer_add_char(out, '-');
    two(out, year / 100);
    two(out, year % 100);
    buffer_add_char(out, ' ');
    clock_text(out, at % 86400);
    buffer_add(out, SLICE(" +0000"));
}

bool date_read_day(struct slice text, int64_t *out)
{
    text = slice_trim(text);
    size_t dash = slice_find(text, '-');
    struct slice rest = slice_after(text, dash + 1);
    uint64_t day, year;
    int month = month_of(rest);
    if (!slice_number(slice_first(text, dash), 31, &day) || !month || rest.n != 8 || rest.p[3] != '-' || !slice_number(slice_after(rest, 4), 9999, &year))
        return false;
    if (day == 0 || (int)day > days_in(month, year))
        return false;
    *out = days_of((int64_t)year, month, (int64_t)day);
    return true;
}

bool date_read_imap(struct slice text, int64_t *at)
{
    text = slice_trim(text);
    size_t blank = slice_find(text, ' ');
    struct slice rest = slice_after(text, blank + 1), zone = slice_after(rest, 9);
    int64_t day, seconds;
    uint64_t ignored;
    if (!date_read_day(slice_first(text, blank), &day) || rest.n != 14 || !read_clock(slice_first(rest, 8), &seconds) || rest.p[8] != ' ')
        return false;
    if ((zone.p[0] != '+' && zone.p[0] != '-') || !slice_number(slice_after(zone, 1), 9959, &ignored))
        return false;
    *at = clamp(day * 86400 + seconds - read_zone(zone) * 60);
    return true;
}

int64_t date_day(int64_t at, int zone)
{
    int64_t local = at + zone * 60;
    return local >= 0 ? local / 86400 : (local - 86399) / 86400;
}
