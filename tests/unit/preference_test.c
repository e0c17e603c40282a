/* Preferences are trained: what becomes of records; what the model was like before is known from the start,
 * and a training that goes on continues bit for bit; what is measured is what was trained. The losses beside
 * PyTorch's are in kit/golden_preference.c. */
#include <tuff/checkpoint.h>

#include "preference_fixture.h"
#include "train/task.h"
#include "train/tasks/preference.h"

static int set_up(void **state)
{
    model = model_open("llama");
    return open_device(state);
}

static int tear_down(void **state)
{
    tuff_model_destroy(&model);
    return close_device(state);
}

/* ---- records */

static const char *ids_of(const tuff_dataset *data, uint32_t sequence, int64_t *out_count)
{
    const int64_t begin = data->starts[sequence];
    *out_count = data->starts[sequence + 1] - begin;
    return (const char *)(data->ids + begin);
}

static void expect_same_data(const tuff_dataset *a, const tuff_dataset *b)
{
    assert_int_equal(a->sequences, b->sequences);
    for (uint32_t i = 0; i < a->sequences; i++) {
        int64_t n, m;
        const char *x = ids_of(a, i, &n), *y = ids_of(b, i, &m);
        assert_int_equal(n, m);
        assert_memory_equal(x, y, (size_t)n * sizeof(int32_t));
        const tuff_preference_answer *p = &tuff_preference_data_of(a)->answers[i],
                                     *q = &tuff_preference_data_of(b)->answers[i];
        assert_int_equal(p->prompt, q->prompt);
        assert_int_equal(p->counted, q->counted);
    }
}

/* What is so deep must be looked at once, not twice on each level. */
#define OPEN  "{\"a\": {\"a\": {\"a\": {\"a\": {\"a\": {\"a\": {\"a\": {\"a\": "
#define CLOSE "}}}}}}}}"
#define DEEP  ", \"a\": " OPEN OPEN OPEN OPEN OPEN OPEN "1" CLOSE CLOSE CLOSE CLOSE CLOSE CLOSE

/* Where a pair has no prompt, it is what both answers begin with, of texts and of turns. */
static void prompts_are_found(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"{\"prompt\": \"The sea is\", \"chosen\": \" wide.\", \"rejected\": \" old\"}\n",
         "{\"chosen\": \"The sea is wide.\", \"rejected\": \"The sea is old\"}\n"},
        {"{\"prompt\": [{\"role\": \"user\", \"content\": \"Far?\"}], \"chosen\": [{\"role\": \"assistant\", "
         "\"content\": \"Yes\"}], \"rejected\": [{\"role\": \"assistant\", \"content\": \"No\"}]}\n",
         "{\"chosen\": [{\"role\": \"user\", \"content\": \"Far?\"" DEEP
         "}, {\"role\": \"assistant\", \"content\": "
         "\"Yes\"}], \"rejected\": [{\"content\": \"Far?\", \"role\": \"user\"" DEEP
         "}, {\"role\": \"assistant\", "
         "\"content\": \"No\"}]}\n"}};
    tuff_chat_template *chatml = NULL;
    const tuff_tokenizer *tokenizer = NULL;
    KIT_OK(tuff_model_get_tokenizer(model, &tokenizer));
    KIT_OK(tuff_chat_template_named("chatml", tokenizer, &chatml));
    for (int i = 0; i < 2; i++) {
        tuff_data_params p = data_params("dpo");
        p.chat_template = i ? chatml : NULL;
        tuff_dataset *given = load_with(texts[i][0], &p), *found = load_with(texts[i][1], &p);
        expect_same_data(given, found);
        const tuff_preference_answer *first = &tuff_preference_data_of(given)->answers[0];
        assert_true(first->prompt > 3 && first->counted >= 3);
        tuff_dataset_destroy(&given);
        tuff_dataset_destroy(&found);
    }
    tuff_chat_template_destroy(&chatml);
}

#define BELOW(how)                                                                                         \
    "Below is an instruction that describes a task" how ". Write a response that appropriately completes " \
    "the request.\\n\\n### Instruction:\\n"
/* Alpaca's records ask in Alpaca's own layout, or as the user does in a chat template, as where they are
 * conversations. */
static void instructions_ask(void **state)
{
    (void)state;
    static const char alpaca[] =
        "{\"instruction\": \"Spell it.\", \"input\": \"freind\", \"output\": \"no\", \"chosen\": \"friend\", "
        "\"rejected\": \"fiend\"}\n"
        "{\"instruction\": \"Go.\", \"chosen\": \"I do\", \"rejected\": \"No\"}\n";
    static const char *const same[] = {
        "{\"prompt\": \"" BELOW(
            ", paired with an input that provides further context") "Spell it.\\n\\n### Input:\\nfreind\\n\\n### Response:\\n\", \"chosen\": \"friend\", \"rejected\": \"fiend\"}\n"
                                                                    "{\"prompt\": \"" BELOW(
                                                                        "") "Go.\\n\\n### Response:\\n\", \"chosen\": \"I do\", \"rejected\": \"No\"}\n",
        "{\"prompt\": \"Spell it.\\nfreind\", \"chosen\": \"friend\", \"rejected\": \"fiend\"}\n"
        "{\"prompt\": \"Go.\", \"chosen\": \"I do\", \"rejected\": \"No\"}\n"};
    const tuff_tokenizer *tokenizer = NULL;
    tuff_chat_template *chatml = NULL;
    KIT_OK(tuff_model_get_tokenizer(model, &tokenizer));
    KIT_OK(tuff_chat_template_named("chatml", tokenizer, &chatml));
    for (int i = 0; i < 2; i++) {
        tuff_data_report r = TUFF_DATA_REPORT_INIT;
        tuff_data_params p = data_params("dpo");
        p.max_length = 128;
        p.truncate_left = true;
        p.chat_template = i ? chatml : NULL;
        tuff_dataset *found = load_with(alpaca, &p), *expected = load_with(same[i], &p);
        expect_same_data(expected, found);
        assert_int_equal(found->sequences, 4);
        KIT_OK(tuff_dataset_get_report(found, &r));
        assert_string_equal(r.format, "alpaca");
        assert_string_equal(r.chat_template, i ? "given" : "");
        KIT_OK(tuff_dataset_get_report(expected, &r));
        assert_string_equal(r.format, "");
        tuff_dataset_destroy(&found);
        tuff_dataset_destroy(&expected);
    }
    tuff_chat_template_destroy(&chatml);
}

/* What is too long loses its end, or its beginning; a pair of which nothing is left to tell apart is left
 * out. */
static void long_records_are_cut(void **state)
{
    (void)state;
    static const char text[] =
        "{\"prompt\": \"0123456789\", \"chosen\": \" abcdefgh\", \"rejected\": \" abcdefgi\"}\n"
        "{\"prompt\": \"01\", \"chosen\": \" bcdefghijklmnopq\", \"rejected\": \" c\"}\n"
        "{\"prompt\": \"0123456789012345\", \"chosen\": \" b\", \"rejected\": \" c\"}\n";
    tuff_data_params p = data_params("dpo");
    p.max_length = 15;
    tuff_dataset *data = load_with(text, &p);
    assert_int_equal(data->sequences, 2);
    assert_int_equal(data->cut, 1);
    assert_int_equal(data->unanswered, 2); /* its answers begin alike, or behind what is left */
    assert_int_equal(data->starts[1], 15);
    const int32_t first = data->ids[0];
    tuff_dataset_destroy(&data);
    p.truncate_left = true;
    data = load_with(text, &p);
    assert_int_equal(data->sequences, 6);
    assert_true(data->ids[0] != first); /* the token that begins a text is cut off */
    assert_int_equal(tuff_preference_data_of(data)->answers[2].prompt, 1);
    tuff_dataset_destroy(&data);
}

static void refuses(const tuff_data_params *p, const char *text, tuff_status status, const char *part)
{
    tuff_dataset *data = NULL;
    const char *path = kit_path("bad.jsonl");
    kit_write_file(path, text, strlen(text));
    KIT_FAILS(tuff_dataset_load(model, path, p, &data), status, part);
    assert_null(data);
}

static void bad_records_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *loss, *text, *part;
    } bad[] = {
        {"dpo", "{\"prompt\": \"a\", \"chosen\": \"b\"}", "its \"rejected\" is missing, expected a text"},
        {"dpo", "{\"prompt\": \"a\", \"chosen\": 3, \"rejected\": \"c\"}", "its \"chosen\" is a number"},
        {"orpo", "{\"prompt\": {}, \"chosen\": \"b\", \"rejected\": \"c\"}", "its \"prompt\" is an object"},
        {"dpo", "{\"prompt\": \"a\", \"chosen\": \" b\", \"rejected\": \" b\"}",
         "line 1: its \"chosen\" and its \"rejected\" are the same"},
        {"dpo", "{\"chosen\": \"b\", \"rejected\": \"c\"}", "do not begin with the same"},
        {"dpo", "{\"question\": \"a\", \"chosen\": \"b c\", \"rejected\": \"b d\"}",
         "its \"prompt\" is missing, and it has \"question\"; what is asked is to be called \"prompt\""},
        {"dpo", "{\"instruction\": [], \"chosen\": \"b\", \"rejected\": \"c\"}",
         "its \"instruction\" is a list, expected a text"},
        {"dpo", "{\"instruction\": \"a\", \"chosen\": \"b\", \"rejected\": []}",
         "its \"rejected\" is a list, expected a text beside \"instruction\""},
        {"dpo", "{\"instruction\": \"a\", \"system\": \"s\", \"chosen\": \"b\", \"rejected\": \"c\"}",
         "it has a \"system\" message, which needs a chat template"},
        {"dpo", "{\"chosen\": \"b\", \"rejected\": []}", "its \"prompt\" is missing"},
        {"dpo", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": []}",
         "its \"rejected\" is an empty list"},
        {"dpo",
         "{\"prompt\": \"a\", \"chosen\": [{\"role\": \"user\", \"content\": \"b\"}], \"rejected\": \"c\"}",
         "no turn of its \"chosen\" is the assistant's"},
        {"kto", "{\"prompt\": \"a\", \"completion\": \"b\"}",
         "its \"label\" is missing, expected true or false"},
        {"kto", "{\"prompt\": \"a\", \"completion\": \"b\", \"label\": \"good\"}",
         "its \"label\" is a text \"good\", expected true or false"},
        {"kto", "{\"prompt\": \"a\", \"completion\": \"b\", \"label\": 2}", "its \"label\" is a number"},
        {"kto", "{\"completion\": \"b\", \"label\": true}", "its \"prompt\" is missing"},
        {"kto", "{\"prompt\": \"a\", \"label\": true}", "its \"completion\" is missing"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const tuff_data_params p = data_params(bad[i].loss);
        refuses(&p, bad[i].text, TUFF_BAD_FORMAT, bad[i].part);
    }
    tuff_data_params p = data_params("dpo");
    refuses(&p, "", TUFF_INVALID_ARGUMENT, "has no records");
    refuses(&p, "{\"prompt\": \"a\", \"chosen\": \" \", \"rejected\": \"b\"}", TUFF_INVALID_ARGUMENT,
            "1 have an empty answer");
    refuses(
        &p,
        "{\"prompt\": [{\"role\": \"user\", \"content\": \"a\"}], \"chosen\": \"b\", \"rejected\": \"c\"}",
        TUFF_NOT_FOUND, "no chat template");
    p.max_length = 6;
    refuses(&p, "{\"prompt\": \"0123456789\", \"chosen\": \" b\", \"rejected\": \" c\"}",
            TUFF_INVALID_ARGUMENT, "of 1 no answer is within max_length 6");
}

static void bad_settings_are_refused(void **state)
{
    (void)state;
    tuff_data_params p = data_params("ppo");
    refuses(&p, pairs, TUFF_INVALID_ARGUMENT, "expected one of dpo, ipo, hinge, robust, orpo, kto");
    p.loss = "dpo";
    p.beta = 0;
    refuses(&p, pairs, TUFF_INVALID_ARGUMENT, "beta is 0");
    p.beta = 0.1;
    p.label_smoothing = 0.5;
    refuses(&p, pairs, TUFF_INVALID_ARGUMENT, "label_smoothing is 0.5");
    p.label_smoothing = 0.1;
    p.loss = "ipo";
    refuses(&p, pairs, TUFF_INVALID_ARGUMENT, "choose dpo or robust");
    p.label_smoothing = 0;
    p.desirable_weight = 2;
    refuses(&p, pairs, TUFF_INVALID_ARGUMENT, "are of the loss kto");
    p.loss = "kto";
    p.undesirable_weight = NAN;
    refuses(&p, answers, TUFF_INVALID_ARGUMENT, "expected 0 to 1e6");
    p = data_params("dpo");
    p.max_length = 129;
    refuses(&p, pairs, TUFF_INVALID_ARGUMENT, "the 128 positions");
    tuff_train_params t = settings(true, 1);
    tuff_trainer *trainer = NULL;
    tuff_dataset *data = load("kto");
    t.per_device_train_batch_size = 1;
    KIT_FAILS(tuff_trainer_create(model, device, data, &t, &trainer), TUFF_INVALID_ARGUMENT,
              "a batch of one has no others");
    tuff_dataset_destroy(&data);
}

/* A pair is one example, of both answers; kto's are answers. */
static void reports_are_of_pairs(void **state)
{
    (void)state;
    static const char twice[] = "{\"prompt\": \"a\", \"chosen\": \" b\", \"rejected\": \" c\"}\n"
                                "{\"prompt\": \"a\", \"chosen\": \" b\", \"rejected\": \" d\"}\n"
                                "{\"prompt\": \"a\", \"chosen\": \" b\", \"rejected\": \" c\"}\n";
    for (int i = 0; i < 2; i++) {
        const tuff_data_params p = data_params(i ? "kto" : "dpo");
        tuff_dataset *data = load_with(twice, &p), *other = load_with(pairs, &p),
                     *same = load_with(twice, &p);
        tuff_data_report r = TUFF_DATA_REPORT_INIT;
        int64_t known = -1, counted = 0;
        KIT_OK(tuff_dataset_get_report(data, &r));
        for (int k = 0; k < TUFF_DATA_BARS; k++)
            counted += r.bars[k];
        assert_int_equal(r.examples, i ? 6 : 3);
        assert_int_equal(counted, r.examples);
        assert_int_equal(r.duplicates, i ? 3 : 1);
        assert_int_equal(r.longest, i ? data->starts[2] - data->starts[1] : data->starts[2]);
        KIT_OK(tuff_dataset_count_known(data, same, &known));
        assert_int_equal(known, r.examples);
        KIT_OK(tuff_dataset_count_known(data, other, &known));
        assert_int_equal(known, 0);
        tuff_dataset_destroy(&data);
        tuff_dataset_destroy(&other);
        tuff_dataset_destroy(&same);
    }
}

/* Of another model than it was read for the data may be too long: a pair, or what kto makes of two answers.
 */
static void what_is_too_long_for_the_model_is_refused(void **state)
{
    (void)state;
    static const char apart[] = "{\"prompt\": \"0123456789\", \"completion\": \" a\", \"label\": true}\n"
                                "{\"prompt\": \"0\", \"completion\": \" abcdefgh\", \"label\": false}\n";
    tuff_model *narrow = model_open(
        model_copy("llama", "narrow", "\"max_position_embeddings\": 128", "\"max_position_embeddings\": 16"));
    for (int i = 0; i < 2; i++) {
        const tuff_data_params p = data_params(i ? "kto" : "dpo");
        const tuff_train_params s = settings(true, 1);
        tuff_dataset *data = load_with(i ? apart : pairs, &p);
        tuff_trainer *t = NULL;
        KIT_FAILS(tuff_trainer_create(narrow, device, data, &s, &t), TUFF_INVALID_ARGUMENT,
                  i ? "a prompt with another one's answer has" : "the model has only 16 positions");
        assert_null(t);
        t = open_trainer(data, &s);
        step_of(t);
        tuff_trainer_destroy(&t);
        tuff_dataset_destroy(&data);
    }
    tuff_model_destroy(&narrow);
}

/* Others are trained on all the same. */
static void malformed_records_are_counted(void **state)
{
    (void)state;
    tuff_buf text = {0};
    tuff_data_params p = data_params("dpo");
    tuff_buf_text(&text, "{\"prompt\": \"a\", \"chosen\": \"b\"}\nno record\n");
    tuff_buf_text(&text, "{\"prompt\": \"a\", \"chosen\": \"\", \"rejected\": \"b\"}\n");
    tuff_buf_text(&text, pairs);
    p.strict = false;
    tuff_dataset *data = load_with(text.data, &p);
    assert_int_equal(data->malformed, 2);
    assert_int_equal(data->empty, 1);
    assert_int_equal(tuff_dataset_blocks(data), 5);
    tuff_dataset_destroy(&data);
    tuff_buf_free(&text);
}

/* ---- training */

/* The first step begins where the reference is: at ln 2 with rewards of 0; then it learns. */
static void it_learns_what_is_preferred(void **state)
{
    (void)state;
    for (int lora = 0; lora < 2; lora++) {
        tuff_dataset *data = load("dpo");
        tuff_train_params p = settings(lora, 40);
        p.per_device_train_batch_size = 5;
        tuff_trainer *t = open_trainer(data, &p);
        tuff_train_step step = step_of(t);
        assert_true(fabs(step.loss - log(2)) < 1e-5);
        assert_true(fabs(figure(step.count, step.figures, "rewards/margins")) < 1e-4);
        while (step.step < p.max_steps)
            step = step_of(t);
        assert_true(step.loss < 0.5);
        assert_true(figure(step.count, step.figures, "rewards/accuracies") == 1);
        assert_true(fabs(figure(step.count, step.figures, "rewards/margins") -
                         (figure(step.count, step.figures, "rewards/chosen") -
                          figure(step.count, step.figures, "rewards/rejected"))) < 1e-9);
        tuff_trainer_destroy(&t);
        tuff_dataset_destroy(&data);
    }
}

/* Two batches of two pairs make the step that one batch of four makes. */
static void accumulated_batches_are_one(void **state)
{
    (void)state;
    tuff_dataset *data = load("dpo");
    double losses[2][4];
    for (int k = 0; k < 2; k++) {
        tuff_train_params p = settings(true, 4);
        p.per_device_train_batch_size = k ? 2 : 4;
        p.gradient_accumulation_steps = k ? 2 : 1;
        tuff_trainer *t = open_trainer(data, &p);
        for (int i = 0; i < 4; i++) {
            const tuff_train_step step = step_of(t);
            losses[k][i] = step.loss;
            assert_true(figure(step.count, step.figures, "rewards/accuracies") >= 0);
        }
        tuff_trainer_destroy(&t);
    }
    for (int i = 0; i < 4; i++)
        if (!(fabs(losses[0][i] - losses[1][i]) <= 2e-6))
            fail_msg("step %d: %.9g, accumulated %.9g", i + 1, losses[0][i], losses[1][i]);
    tuff_dataset_destroy(&data);
}

/* Of a pair kto takes two answers; of a step without one kind it says nothing of that kind. */
static void answers_are_judged_alone(void **state)
{
    (void)state;
    const tuff_data_params p = data_params("kto");
    tuff_train_params s = settings(true, 30);
    tuff_dataset *data = load_with(pairs, &p);
    assert_int_equal(tuff_dataset_blocks(data), 10);
    s.per_device_train_batch_size = 10;
    tuff_trainer *t = open_trainer(data, &s);
    tuff_train_step step = step_of(t);
    assert_true(fabs(step.loss - 0.5) < 1e-5);
    assert_true(fabs(figure(step.count, step.figures, "kl")) < 1e-4);
    while (step.step < s.max_steps)
        step = step_of(t);
    assert_true(step.loss < 0.45);
    assert_true(figure(step.count, step.figures, "rewards/margins") > 0);
    tuff_trainer_destroy(&t);
    tuff_dataset_destroy(&data);
    data = load_with("{\"prompt\": \"a\", \"completion\": \" b\", \"label\": true}\n"
                     "{\"prompt\": \"b\", \"completion\": \" c\", \"label\": true}\n",
                     &p);
    t = open_trainer(data, &s);
    step = step_of(t);
    for (int64_t i = 0; i < step.count; i++)
        assert_null(strstr(step.figures[i].name, "rejected"));
    tuff_trainer_destroy(&t);
    tuff_dataset_destroy(&data);
}

/* Virtual tokens come before both, and the reference has none. */
static void virtual_tokens_learn_it(void **state)
{
    (void)state;
    static const char *const losses[] = {"dpo", "kto"};
    for (int i = 0; i < 2; i++) {
        tuff_dataset *data = load(losses[i]);
        tuff_train_params p = settings(false, 30);
        p.peft_type = "prompt_tuning";
        p.num_virtual_tokens = 3;
        p.learning_rate = 3e-2;
        p.per_device_train_batch_size = 5;
        tuff_trainer *t = open_trainer(data, &p);
        const double first = step_of(t).loss;
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        while (step.step < p.max_steps)
            step = step_of(t);
        assert_true(step.loss < first);
        tuff_trainer_destroy(&t);
        tuff_dataset_destroy(&data);
    }
}

/* ---- measuring */

static void what_is_measured_is_what_is_saved(void **state)
{
    (void)state;
    static const char *const losses[] = {"dpo", "orpo", "kto"};
    for (int i = 0; i < 3; i++) {
        tuff_dataset *data = load(losses[i]), *other = load(losses[i]);
        const tuff_train_params p = settings(true, 5);
        tuff_trainer *t = open_trainer(data, &p);
        tuff_eval_result trained = TUFF_EVAL_RESULT_INIT, saved = TUFF_EVAL_RESULT_INIT;
        tuff_eval_params e = TUFF_EVAL_PARAMS_INIT;
        for (int k = 0; k < 5; k++)
            step_of(t);
        KIT_OK(tuff_trainer_evaluate(t, other, &trained)); /* without the adapter it is as it was */
        assert_int_equal(trained.tokens, 5);
        const char *out = kit_path(losses[i]);
        KIT_OK(tuff_trainer_save(t, out));
        e.batch_size = p.per_device_train_batch_size;
        e.adapter = out;
        KIT_OK(tuff_evaluate(model, device, other, &e, &saved));
        assert_true(same_result(&trained, &saved, 1e-5));
        e.adapter = NULL;
        if (i == 1)
            KIT_OK(tuff_evaluate(model, device, other, &e, &saved));
        else
            KIT_FAILS(tuff_evaluate(model, device, other, &e, &saved), TUFF_INVALID_ARGUMENT,
                      "there is no adapter");
        tuff_trainer_destroy(&t);
        tuff_dataset_destroy(&data);
        tuff_dataset_destroy(&other);
    }
}

/* Where all is trained, what the model was like before is only known of data that was planned in time. */
static void a_reference_is_made_in_time(void **state)
{
    (void)state;
    tuff_dataset *data = load("dpo"), *planned = load("dpo"), *late = load("dpo");
    const tuff_train_params p = settings(false, 3);
    tuff_trainer *t = open_trainer(data, &p);
    tuff_eval_result r = TUFF_EVAL_RESULT_INIT;
    KIT_OK(tuff_trainer_plan_evaluation(t, planned));
    step_of(t);
    KIT_OK(tuff_trainer_evaluate(t, planned, &r));
    assert_true(fabs(figure(r.count, r.figures, "rewards/margins")) > 1e-6);
    KIT_FAILS(tuff_trainer_evaluate(t, late, &r), TUFF_INVALID_ARGUMENT, "before the first step");
    step_of(t);
    tuff_trainer_destroy(&t);
    tuff_dataset_destroy(&data);
    tuff_dataset_destroy(&planned);
    tuff_dataset_destroy(&late);
}

/* ---- checkpoints */

/* The second half of a training from a checkpoint of its first: the same losses and figures, bit for bit. */
static void a_training_goes_on(void **state)
{
    (void)state;
    enum { STEPS = 6, HALF = 3 };
    static const char *const losses[] = {"dpo", "kto"};
    for (int i = 0; i < 4; i++) {
        const bool lora = i % 2;
        tuff_dataset *data = load(losses[i / 2]), *other = load(losses[i / 2]);
        const tuff_train_params p = settings(lora, STEPS);
        tuff_train_step whole[STEPS];
        tuff_eval_result measured[2] = {TUFF_EVAL_RESULT_INIT, TUFF_EVAL_RESULT_INIT};
        const char *path = kit_path(i == 0   ? "checkpoint-30"
                                    : i == 1 ? "checkpoint-31"
                                    : i == 2 ? "checkpoint-32"
                                             : "checkpoint-33");
        tuff_trainer *t = open_trainer(data, &p);
        KIT_OK(tuff_trainer_plan_evaluation(t, other));
        for (int k = 0; k < STEPS; k++) {
            whole[k] = step_of(t);
            if (k + 1 == HALF) KIT_OK(tuff_trainer_save_checkpoint(t, path, NULL));
        }
        KIT_OK(tuff_trainer_evaluate(t, other, &measured[0]));
        tuff_trainer_destroy(&t);
        tuff_checkpoint *checkpoint = NULL;
        char *lines = NULL;
        KIT_OK(tuff_checkpoint_open(path, NULL, &checkpoint));
        t = open_trainer(data, &p);
        KIT_OK(tuff_trainer_plan_evaluation(t, other));
        KIT_OK(tuff_checkpoint_differences(checkpoint, t, &lines));
        assert_string_equal(lines, "");
        tuff_free(lines);
        KIT_OK(tuff_trainer_resume(t, checkpoint));
        for (int k = HALF; k < STEPS; k++) {
            tuff_train_step step = step_of(t);
            step.seconds = whole[k].seconds;
            assert_memory_equal(&step, &whole[k], sizeof step);
        }
        KIT_OK(tuff_trainer_evaluate(t, other, &measured[1]));
        assert_memory_equal(&measured[0], &measured[1], sizeof measured[0]);
        tuff_trainer_destroy(&t);
        tuff_checkpoint_destroy(&checkpoint);
        tuff_dataset_destroy(&data);
        tuff_dataset_destroy(&other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_are_found),
        cmocka_unit_test(instructions_ask),
        cmocka_unit_test(long_records_are_cut),
        cmocka_unit_test(bad_records_are_refused),
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(reports_are_of_pairs),
        cmocka_unit_test(what_is_too_long_for_the_model_is_refused),
        cmocka_unit_test(malformed_records_are_counted),
        cmocka_unit_test(it_learns_what_is_preferred),
        cmocka_unit_test(accumulated_batches_are_one),
        cmocka_unit_test(answers_are_judged_alone),
        cmocka_unit_test(virtual_tokens_learn_it),
        cmocka_unit_test(what_is_measured_is_what_is_saved),
        cmocka_unit_test(a_reference_is_made_in_time),
        cmocka_unit_test(a_training_goes_on),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
