/* Counters, gauges and histograms as a page */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/metrics.h"

static int contains(const char *text)
{
    struct buffer page = {0};
    metrics_write(&page);
    struct slice s = buffer_slice(&page);
    int found = memmem(s.p, s.n, text, strlen(text)) != NULL;
    buffer_free(&page);
    return found;
}

static void a_histogram_counts_each_time_in_its_bucket_and_all_above(void **state)
{
    (void)state;
    metric_observe(HISTOGRAM_MAIL_DELIVERY, 1000);     /* just in le="0.001" */
    metric_observe(HISTOGRAM_MAIL_DELIVERY, 1001);     /* in the next */
    metric_observe(HISTOGRAM_MAIL_DELIVERY, 31000000); /* above all bounds */
    metric_observe(HISTOGRAM_MAIL_DELIVERY, -5);       /* a clock that stood still */
    assert_true(contains("kantor_mail_delivery_seconds_bucket{le=\"0.0005\"} 1\n"));
    assert_true(contains("kantor_mail_delivery_seconds_bucket{le=\"0.001\"} 2\n"));
    assert_true(contains("kantor_mail_delivery_seconds_bucket{le=\"0.0025\"} 3\n"));
    assert_true(contains("kantor_mail_delivery_seconds_bucket{le=\"30\"} 3\n"));
    assert_true(contains("kantor_mail_delivery_seconds_bucket{le=\"+Inf\"} 4\n"));
    assert_true(contains("kantor_mail_delivery_seconds_sum 31.002001\nkantor_mail_delivery_seconds_count 4\n"));
}

static int64_t seven(void *arg)
{
    return 7 + *(int *)arg;
}

static void gauges_of_one_name_have_one_head(void **state)
{
    static int zero, one = 1;
    (void)state;
    metric_gauge("things", "kind=\"a\"", "what there is", seven, &zero);
    metric_gauge("things", "kind=\"b\"", "what there is", seven, &one);
    assert_true(contains("# HELP kantor_things what there is\n# TYPE kantor_things gauge\nkantor_things{kind=\"a\"} "
                         "7\nkantor_things{kind=\"b\"} 8\n"));
}

static void a_counter_adds_up(void **state)
{
    (void)state;
    metric_add(METRIC_LOGINS_OK, 2);
    metric_add(METRIC_LOGINS_OK, 3);
    assert_true(contains("# TYPE kantor_logins_total counter\nkantor_logins_total{result=\"ok\"} "
                         "5\nkantor_logins_total{result=\"failed\"} 0\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_histogram_counts_each_time_in_its_bucket_and_all_above),
        cmocka_unit_test(gauges_of_one_name_have_one_head),
        cmocka_unit_test(a_counter_adds_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
