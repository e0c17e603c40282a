/* Answers that a model gives by itself while it is measured. */
#include "adapted_fixture.h"

typedef struct seen {
    int uploads, evaluated, answered; /* models put on the device; calls within the phases after that */
} seen;

static bool look(const tuff_progress *progress, void *user)
{
    seen *s = user;
    s->uploads +=
        progress->phase == TUFF_PHASE_UPLOAD && progress->total && progress->done == progress->total;
    s->evaluated += progress->phase == TUFF_PHASE_EVALUATE;
    s->answered += progress->phase == TUFF_PHASE_GENERATE && s->evaluated;
    return true;
}

/* They are made by what is there already, with an adapter, too, and leave nothing behind. */
static void the_model_is_put_on_the_device_once(void **state)
{
    (void)state;
    const char *file = kit_path("answers.jsonl");
    static const char records[] = "{\"source\": \"the cat\", \"target\": \"a dog\"}\n"
                                  "{\"source\": \"two\", \"target\": \"one\"}\n";
    kit_write_file(file, records, sizeof records - 1);
    tuff_model *model = model_open("t5");
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    tuff_dataset *data = NULL;
    p.task = "seq2seq";
    KIT_OK(tuff_dataset_load(model, file, &p, &data));
    for (int adapted = 0; adapted < 2; adapted++) {
        seen s = {0};
        tuff_watch watch = TUFF_WATCH_INIT;
        tuff_eval_params e = TUFF_EVAL_PARAMS_INIT;
        tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
        tuff_device_stats before = TUFF_DEVICE_STATS_INIT, after = TUFF_DEVICE_STATS_INIT;
        watch.on_progress = look;
        watch.user = &s;
        e.watch = &watch;
        e.adapter = adapted ? adapter_of("t5", "lora") : NULL;
        KIT_OK(tuff_device_get_stats(device, &before));
        KIT_OK(tuff_evaluate(model, device, data, &e, &result));
        KIT_OK(tuff_device_get_stats(device, &after));
        assert_int_equal(s.uploads, 1);
        assert_true(s.answered > 0);
        assert_int_equal(after.bytes, before.bytes);
        assert_string_equal(result.figures[result.count - 1].name, "exact_match");
    }
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

int main(void)
{
    if (!open_device("cpu")) return 77;
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_model_is_put_on_the_device_once)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
