/* Calls of reports of trainings without one of their arguments: see api_null_test.c. */
#ifndef TUFF_TESTS_NULL_TRAIN_REPORT_H
#define TUFF_TESTS_NULL_TRAIN_REPORT_H

#include "null_kit.h"

static tuff_train_report *null_report(void)
{
    tuff_train_report_params params = TUFF_TRAIN_REPORT_PARAMS_INIT;
    tuff_train_report *report = NULL;
    params.page = kit_temp_path("report.html");
    KIT_OK(tuff_train_report_create(&params, &report));
    return report;
}

CALLS_OF(tuff_train_report_create)
{
    const tuff_train_report_params none = TUFF_TRAIN_REPORT_PARAMS_INIT, unset = {0};
    tuff_train_report *out;
    REFUSED(tuff_train_report_create(&none, NULL));
    REFUSED_OUT(tuff_train_report_create(NULL, &out), out);
    REFUSED_OUT(tuff_train_report_create(&none, &out), out);
    REFUSED_OUT(tuff_train_report_create(&unset, &out), out);
}
CALLS_OF(tuff_train_report_destroy)
{
    tuff_train_report *none = NULL;
    tuff_train_report_destroy(NULL);
    tuff_train_report_destroy(&none);
}
CALLS_OF(tuff_train_report_fact)
{
    tuff_train_report *report = null_report();
    REFUSED(tuff_train_report_fact(NULL, "a", "b", "c"));
    REFUSED(tuff_train_report_fact(report, NULL, "b", "c"));
    REFUSED(tuff_train_report_fact(report, "a", NULL, "c"));
    REFUSED(tuff_train_report_fact(report, "a", "b", NULL));
    tuff_train_report_destroy(&report);
}
CALLS_OF(tuff_train_report_data)
{
    tuff_train_report *report = null_report();
    REFUSED(tuff_train_report_data(NULL, "a", fixture.data, NULL));
    REFUSED(tuff_train_report_data(report, NULL, fixture.data, NULL));
    REFUSED(tuff_train_report_data(report, "a", NULL, NULL));
    tuff_train_report_destroy(&report);
}
CALLS_OF(tuff_train_report_step)
{
    const tuff_train_step step = TUFF_TRAIN_STEP_INIT, unset = {0};
    tuff_train_report *report = null_report();
    REFUSED(tuff_train_report_step(NULL, &step));
    REFUSED(tuff_train_report_step(report, NULL));
    REFUSED(tuff_train_report_step(report, &unset));
    tuff_train_report_destroy(&report);
}
CALLS_OF(tuff_train_report_eval)
{
    const tuff_eval_result result = TUFF_EVAL_RESULT_INIT, unset = {0};
    tuff_train_report *report = null_report();
    REFUSED(tuff_train_report_eval(NULL, 1, &result));
    REFUSED(tuff_train_report_eval(report, 1, NULL));
    REFUSED(tuff_train_report_eval(report, 1, &unset));
    tuff_train_report_destroy(&report);
}
CALLS_OF(tuff_train_report_sample)
{
    tuff_train_report *report = null_report();
    REFUSED(tuff_train_report_sample(NULL, 1, "a", 1, "b", 1));
    REFUSED(tuff_train_report_sample(report, 1, NULL, 1, "b", 1));
    REFUSED(tuff_train_report_sample(report, 1, "a", 1, NULL, 1));
    tuff_train_report_destroy(&report);
}
CALLS_OF(tuff_train_report_end)
{
    tuff_train_report *report = null_report();
    REFUSED(tuff_train_report_end(NULL, TUFF_TRAINING_DONE, "done"));
    REFUSED(tuff_train_report_end(report, TUFF_TRAINING_DONE, NULL));
    tuff_train_report_destroy(&report);
}

#endif
