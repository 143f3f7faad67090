/* Dates: of today, of old mail, and nonsense (RFC 5322 3.3, 4.3; attacks.md MM-14) */
#include "mail/mime/date.h"
#include "tests/unit/mail/mime/mime_test.h"

enum { NO = -1 };

static void dates_of_real_mail_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t at;
        int zone;
    } rows[] = {
        {"Tue, 24 Nov 2026 15:00:00 +0700", 1795507200, 420},
        {"24 Nov 2026 08:00:00 +0000", 1795507200, 0},
        {" tue , 24 nov 2026 15:00:00 +0700 (WIB)", 1795507200, 420},
        {"(a (nested) comment) Tue(,) 24 (x) Nov (y) 2026 (z) 15:00 (!) +0700", 1795507200, 420},
        {"Tue, 24 Nov 2026 08:00:00", 1795507200, 0},
        {"Tue, 24 Nov 2026", 1795478400, 0},
        {"Tue, 24 Nov 2026 08:00", 1795507200, 0},
        {"Tue, 24 Nov 2026 08:00:00 GMT", 1795507200, 0},
        {"Tue, 24 Nov 2026 08:00:00 UT", 1795507200, 0},
        {"Tue, 24 Nov 2026 08:00:00 Z", 1795507200, 0},
        {"Tue, 24 Nov 2026 03:00:00 EST", 1795507200, -300},
        {"Tue, 24 Nov 2026 00:00:00 pst", 1795507200, -480},
        {"Tue, 24 Nov 2026 04:00:00 EDT", 1795507200, -240},
        {"Tue, 24 Nov 2026 08:00:00 A", 1795507200, 0},
        {"Tue, 24 Nov 2026 08:00:00 -0000", 1795507200, 0},
        {"Tue, 24 Nov 2026 08:00:00 +9999", 1795507200, 0},
        {"Tuesday, 24 November 2026 08:00:00 +0000", 1795507200, 0},
        {"Tue, 24 Nov 96 08:00:00 +0000", 848822400, 0},
        {"Tue, 24 Nov 26 08:00:00 +0000", 1795507200, 0},
        {"Tue, 24 Nov 126 08:00:00 +0000", 1795507200, 0},
        {"Tue, 24 Nov 49 08:00:00 +0000", 2521353600, 0},
        {"Fri, 1 Jan 1960 00:00:00 +0000", 0, 0},
        {"1 Jan 99999 00:00:00 +0000", 253402214400 - 364 * 86400, 0},
        {"1 Jan 99999999999999999 00:00:00 +0000", 253402214400 - 364 * 86400, 0},
        {"31 Dec 2026 23:59:60 +0000", 1798761600, 0},
        {"29 Feb 2024 00:00:00 +0000", 1709164800, 0},
        {"24-Nov-2026 08:00:00 +0000", 1795507200, 0},
        {"Tue, 24-Nov-26 08:00:00 GMT", 1795507200, 0},
        {"Tue Nov 24 08:00:00 2026", 1795507200, 0},
        {"Tue Nov 24 08:00:00 GMT 2026", 1795507200, 0},
        {"Tue Nov 24 03:00:00 EST 2026", 1795507200, -300},
        {"Nov 24, 2026 15:00 +0700", 1795507200, 420},
        {"Tue, 24 Nov 2026 08.00.00 +0000", NO, 0},
        {"Tue, 24 Nov 2026 24:00:00 +0000", NO, 0},
        {"Tue, 24 Nov 2026 08:60:00 +0000", NO, 0},
        {"31 Feb 2026 00:00:00 +0000", NO, 0},
        {"29 Feb 2025 00:00:00 +0000", NO, 0},
        {"0 Nov 2026 00:00:00 +0000", NO, 0},
        {"32 Nov 2026 00:00:00 +0000", NO, 0},
        {"24 Nix 2026 00:00:00 +0000", NO, 0},
        {"24 Nov", NO, 0},
        {"yesterday", NO, 0},
        {"", NO, 0},
        {"((((", NO, 0},
        {"Tue,", NO, 0},
        {"2026-11-24T08:00:00Z", NO, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t at = NO;
        int zone = 0;
        bool read = date_read(slice_of(rows[i].text), &at, &zone);
        if (read != (rows[i].at != NO) || (read && (at != rows[i].at || zone != rows[i].zone)))
            fail_msg("%s: %d %lld %d", rows[i].text, read, (long long)at, zone);
    }
}

static void a_megabyte_of_digits_is_no_date(void **state)
{
    struct buffer b = {0};
    int64_t at;
    while (buffer_length(&b) < 1024 * 1024)
        buffer_add(&b, SLICE("9999999999"));
    assert_false(date_read(buffer_slice(&b), &at, NULL));
    buffer_free(&b);
    (void)state;
}

static void dates_of_imap_are_read_strictly(void **state)
{
    static const struct {
        const char *text;
        int64_t at;
    } rows[] = {
        {"24-Nov-2026 08:00:00 +0000", 1795507200}, {" 4-Nov-2026 08:00:00 +0000", 1793779200}, {"4-Nov-2026 08:00:00 +0000", 1793779200}, {"24-nov-2026 15:00:00 +0700", 1795507200},
        {"24-Nov-2026 08:00:00", NO}, {"24-Nov-26 08:00:00 +0000", NO}, {"31-Feb-2026 08:00:00 +0000", NO}, {"24-Nov-2026 8:00:00 +0000", NO}, {"24 Nov 2026 08:00:00 +0000", NO}, {"", NO}, {"24-Nov-2026", NO},
        {"24-Nov-2026 08:00:00 0000", NO}, {"24-Nov-2026  08:00:00 +000", NO},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct guard g = guard_make(slice_of(rows[i].text));
        int64_t at = NO;
        bool read = date_read_imap(g.text, &at);
        guard_drop(&g);
        if (read != (rows[i].at != NO) || (read && at != rows[i].at))
            fail_msg("%s: %d %lld", rows[i].text, read, (long long)at);
    }
}

static void days_are_read_and_counted_in_the_senders_zone(void **state)
{
    int64_t day;
    (void)state;
    assert_true(date_read_day(SLICE("1-Jan-1970"), &day));
    assert_int_equal(day, 0);
    assert_true(date_read_day(SLICE("24-Nov-2026"), &day));
    assert_int_equal(day, date_day(1795507200, 0));
    assert_false(date_read_day(SLICE("24-Nov-2026 "), &day) && day != date_day(1795507200, 0));
    assert_false(date_read_day(SLICE("30-Feb-2026"), &day));
    assert_int_equal(date_day(1795507200, 17 * 60), date_day(1795507200, 0) + 1);
    assert_int_equal(date_day(0, -60), -1);
}

static void what_is_written_is_read_again(void **state)
{
    struct buffer b = {0};
    (void)state;
    for (int64_t at = 0; at < 253402300799; at += 86399 * 367 + 3661) {
        int64_t again;
        date_write(at, &b);
        assert_true(date_read(buffer_slice(&b), &again, NULL) && again == at);
        buffer_clear(&b);
        date_write_imap(at, &b);
        assert_int_equal(buffer_length(&b), 26);
        assert_true(date_read_imap(buffer_slice(&b), &again) && again == at);
        buffer_clear(&b);
    }
    date_write(INT64_MAX, &b);
    date_write_imap(INT64_MIN, &b);
    buffer_add_char(&b, '\0');
    assert_string_equal(buffer_slice(&b).p, "Fri, 31 Dec 9999 23:59:59 +0000 1-Jan-1970 00:00:00 +0000");
    buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_of_real_mail_are_read),
        cmocka_unit_test(a_megabyte_of_digits_is_no_date),
        cmocka_unit_test(dates_of_imap_are_read_strictly),
        cmocka_unit_test(days_are_read_and_counted_in_the_senders_zone),
        cmocka_unit_test(what_is_written_is_read_again),
    };
    return cmocka_run_group_tests_name("mail/mime/date", tests, NULL, NULL);
}
