/* Answers that a model gives by itself while it is measured. */
#include "adapted_fixture.h"

typedef struct seen {
    int uploads, evaluated, answered; /* models put on the device; calls within the phases after that */
    uint64_t questions;
} seen;

static bool look(const tuff_progress *progress, void *user)
{
    seen *s = user;
    s->uploads +=
        progress->phase == TUFF_PHASE_UPLOAD && progress->total && progress->done == progress->total;
    s->evaluated += progress->phase == TUFF_PHASE_EVALUATE;
    s->answered += progress->phase == TUFF_PHASE_GENERATE && s->evaluated;
    if (progress->phase == TUFF_PHASE_GENERATE) s->questions = progress->total;
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

static tuff_dataset *conversations(const tuff_model *model, bool learn_all)
{
    static const char records[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"one\"}, "
                                  "{\"role\": \"assistant\", \"content\": \"two\"}, "
                                  "{\"role\": \"user\", \"content\": \"three\"}, "
                                  "{\"role\": \"assistant\", \"content\": \"four\"}]}\n"
                                  "{\"messages\": [{\"role\": \"user\", \"content\": \"five\"}, "
                                  "{\"role\": \"assistant\", \"content\": \"six\"}]}\n";
    const char *file = kit_path("chat.jsonl");
    const tuff_tokenizer *tokenizer;
    tuff_chat_template *template = NULL;
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    tuff_dataset *data = NULL;
    kit_write_file(file, records, sizeof records - 1);
    KIT_OK(tuff_model_get_tokenizer(model, &tokenizer));
    KIT_OK(tuff_chat_template_named("zephyr", tokenizer, &template));
    p.task = "sft";
    p.chat_template = template;
    p.loss_on_prompts = learn_all;
    KIT_OK(tuff_dataset_load(model, file, &p, &data));
    tuff_chat_template_destroy(&template);
    return data;
}

/* Every answer of a conversation is one, also of those that share a batch; nobody else is asked. */
static void answers_in_conversations_are_given(void **state)
{
    (void)state;
    static const char *const names[] = {"accuracy", "bleu",   "chrf",      "rouge1",
                                        "rouge2",   "rougeL", "rougeLsum", "exact_match"};
    tuff_model *model = model_open("llama");
    tuff_dataset *data = conversations(model, false), *all = conversations(model, true);
    for (int asked = 0; asked < 2; asked++) {
        seen s = {0};
        tuff_watch watch = TUFF_WATCH_INIT;
        tuff_eval_params e = TUFF_EVAL_PARAMS_INIT;
        tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
        watch.on_progress = look;
        watch.user = &s;
        e.watch = &watch;
        e.batch_size = 2;
        e.predict_with_generate = asked;
        KIT_OK(tuff_evaluate(model, device, data, &e, &result));
        assert_int_equal(s.questions, asked ? 3 : 0);
        assert_int_equal(result.count, asked ? 8 : 1);
        for (int64_t i = 0; i < result.count; i++)
            assert_string_equal(result.figures[i].name, names[i]);
        if (asked)
            KIT_FAILS(tuff_evaluate(model, device, all, &e, &result), TUFF_INVALID_ARGUMENT, "prompts");
    }
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    tuff_trainer *trainer = NULL;
    tuff_dataset *text = NULL;
    p.predict_with_generate = true;
    p.max_steps = 1;
    KIT_OK(tuff_dataset_from_ids((const int32_t[]){3, 4, 5, 6}, 4, 4, &text));
    KIT_FAILS(tuff_trainer_create(model, device, text, &p, &trainer), TUFF_UNSUPPORTED,
              "not of causal language modelling");
    KIT_OK(tuff_trainer_create(model, device, data, &p, &trainer));
    tuff_eval_result before = TUFF_EVAL_RESULT_INIT;
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    KIT_OK(tuff_trainer_evaluate(trainer, data, &before));
    assert_int_equal(before.count, 8);
    KIT_OK(tuff_trainer_step(trainer, &step));
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&text);
    tuff_dataset_destroy(&all);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

int main(void)
{
    if (!open_device("cpu")) return 77;
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_model_is_put_on_the_device_once),
                                       cmocka_unit_test(answers_in_conversations_are_given)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
