/* Predictors: what transformers' pipelines predict, whatever else is predicted at once, and what is refused.
 */
#include <math.h>
#include <string.h>
#include <tuff/predict.h>

#include "base/json.h"
#include "base/thread.h"
#include "model_fixture.h"

static tuff_device *device;
static cJSON *truth;

static int open_all(void **state)
{
    (void)state;
    if (tuff_json_read(kit_golden("predict/truth.json"), &truth) != TUFF_OK) return 1;
    device = kit_cpu();
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    tuff_device_destroy(&device);
    cJSON_Delete(truth);
    return 0;
}

/* A golden model with the tokenizer of the predictions. */
static const char *with_tokenizer(const char *golden)
{
    const char *directory = kit_copy_model(kit_golden(golden), golden);
    kit_copy_file(kit_golden("predict/tokenizer.json"), kit_join(directory, "tokenizer.json"));
    return directory;
}

static tuff_predictor *predictor_of(const tuff_model *model, const tuff_predictor_params *params)
{
    tuff_predictor *p = NULL;
    KIT_OK(tuff_predictor_create(model, device, params, &p));
    return p;
}

static const cJSON *item(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static int64_t number_of(const cJSON *object, const char *key)
{
    const cJSON *value = item(object, key);
    return cJSON_IsNumber(value) ? (int64_t)value->valuedouble : 0;
}

static double at(const cJSON *list, int i)
{
    const cJSON *value = cJSON_GetArrayItem(list, i);
    assert_non_null(value);
    return value->valuedouble;
}

static tuff_piece piece_of(const cJSON *text)
{
    return cJSON_IsString(text) ? (tuff_piece){text->valuestring, strlen(text->valuestring)}
                                : (tuff_piece){NULL, 0};
}

enum { MOST = 16 };

static size_t inputs_of(const cJSON *cases, tuff_predict_input inputs[MOST])
{
    size_t n = 0;
    const cJSON *one;
    cJSON_ArrayForEach(one, cases)
    {
        assert_true(n < MOST);
        inputs[n++] = (tuff_predict_input){piece_of(item(one, "text")), piece_of(item(one, "pair"))};
    }
    return n;
}

static void near(const char *what, double got, double want)
{
    if (!(fabs(got - want) <= 1e-5)) fail_msg("%s is %.9g, transformers says %.9g", what, got, want);
}

static const cJSON *want_of(const cJSON *cases, size_t i)
{
    return item(cJSON_GetArrayItem(cases, (int)i), "want");
}

static void check_masks(tuff_predictor *p, const cJSON *cases, const tuff_predict_input *inputs, size_t n)
{
    size_t masks[MOST], at_guess = 0;
    tuff_guess *guesses = NULL;
    KIT_OK(tuff_fill_masks(p, inputs, n, NULL, masks, &guesses, NULL));
    for (size_t i = 0; i < n; i++) {
        const cJSON *want = want_of(cases, i), *mask, *guess;
        assert_int_equal(cJSON_GetArraySize(want), masks[i]);
        cJSON_ArrayForEach(mask, want) cJSON_ArrayForEach(guess, mask)
        {
            assert_int_equal(guesses[at_guess].token, (int)at(guess, 0));
            near("a guess", (double)guesses[at_guess++].score, at(guess, 1));
        }
    }
    tuff_free(guesses);
}

static void check_classes(tuff_predictor *p, const cJSON *cases, const tuff_predict_input *inputs, size_t n)
{
    float scores[MOST * 8];
    const size_t labels = (size_t)tuff_predictor_labels(p);
    assert_true(labels <= 8);
    KIT_OK(tuff_classify(p, inputs, n, NULL, scores, NULL));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < labels; k++)
            near("a class", (double)scores[i * labels + k], at(want_of(cases, i), (int)k));
}

static void check_entities(tuff_predictor *p, const cJSON *cases, const tuff_predict_input *inputs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const cJSON *one = cJSON_GetArrayItem(cases, (int)i), *want;
        tuff_entities_params params = TUFF_ENTITIES_PARAMS_INIT;
        tuff_entity *found = NULL;
        size_t count = 0, k = 0;
        params.group = cJSON_IsTrue(item(one, "group"));
        KIT_OK(tuff_find_entities(p, inputs + i, 1, &params, &found, &count, NULL));
        assert_int_equal(count, cJSON_GetArraySize(item(one, "want")));
        cJSON_ArrayForEach(want, item(one, "want"))
        {
            assert_int_equal(found[k].span.start, (size_t)at(want, 0));
            assert_int_equal(found[k].span.end, (size_t)at(want, 1));
            assert_string_equal(found[k].name, cJSON_GetArrayItem(want, 2)->valuestring);
            near("an entity", (double)found[k++].score, at(want, 3));
        }
        tuff_free(found);
    }
}

static void check_answers(tuff_predictor *p, const cJSON *run, const tuff_predict_input *inputs, size_t n)
{
    tuff_answer_params params = TUFF_ANSWER_PARAMS_INIT;
    tuff_answer answers[MOST * 8];
    size_t counts[MOST], most = (size_t)number_of(run, "answers");
    params.answers = (int64_t)most;
    params.overlap = number_of(run, "overlap");
    params.maybe_none = cJSON_IsTrue(item(run, "maybe_none"));
    assert_true(most <= 8);
    KIT_OK(tuff_answer_questions(p, inputs, n, &params, answers, counts, NULL));
    for (size_t i = 0; i < n; i++) {
        const cJSON *want = want_of(item(run, "cases"), i);
        assert_int_equal(counts[i], cJSON_GetArraySize(want));
        for (size_t k = 0; k < counts[i]; k++) {
            const tuff_answer *answer = &answers[i * most + k];
            const cJSON *one = cJSON_GetArrayItem(want, (int)k);
            assert_int_equal(answer->span.start, (size_t)at(one, 0));
            assert_int_equal(answer->span.end, (size_t)at(one, 1));
            near("an answer", (double)answer->score, at(one, 2));
        }
    }
}

static const char *model_of(const cJSON *run)
{
    const char *directory = with_tokenizer(item(run, "model")->valuestring);
    const cJSON *problem = item(run, "problem_type");
    char to[96];
    if (!cJSON_IsString(problem)) return directory;
    snprintf(to, sizeof to, "\"problem_type\": \"%s\", \"id2label\"", problem->valuestring);
    kit_edit_file(kit_join(directory, "config.json"), "\"id2label\"", to);
    return directory;
}

static void predictions_are_those_of_transformers(void **state)
{
    (void)state;
    const cJSON *run;
    size_t runs = 0;
    cJSON_ArrayForEach(run, item(truth, "runs"))
    {
        tuff_predict_input inputs[MOST];
        const cJSON *cases = item(run, "cases");
        const char *task = item(run, "task")->valuestring;
        size_t n = inputs_of(cases, inputs);
        tuff_model *model = model_open(model_of(run));
        tuff_predictor_params params = TUFF_PREDICTOR_PARAMS_INIT;
        params.guesses = 4;
        params.max_length = number_of(run, "max_length");
        tuff_predictor *p = predictor_of(model, &params);
        if (strcmp(task, "masks") == 0) check_masks(p, cases, inputs, n);
        if (strcmp(task, "classes") == 0) check_classes(p, cases, inputs, n);
        if (strcmp(task, "entities") == 0) check_entities(p, cases, inputs, n);
        if (strcmp(task, "answers") == 0) check_answers(p, run, inputs, n);
        runs++;
        tuff_predictor_destroy(&p);
        tuff_model_destroy(&model);
    }
    assert_int_equal(runs, 17);
}

static const tuff_predict_input words[] = {
    {{"ab cad ponk", 11}, {NULL, 0}}, {{"p", 1}, {NULL, 0}},          {{"", 0}, {NULL, 0}},
    {{"ab", 2}, {"ponk", 4}},         {{"\xff\xfe p", 4}, {NULL, 0}}, {{"a b c d e f g h", 15}, {NULL, 0}},
};
enum { WORDS = sizeof words / sizeof *words, LABELS = 3, THREADS = 4 };

typedef struct asking {
    tuff_predictor *predictor;
    float scores[WORDS * LABELS];
    tuff_status status;
} asking;

static void ask(void *user)
{
    asking *a = user;
    a->status = tuff_classify(a->predictor, words, WORDS, NULL, a->scores, NULL);
}

/* Alone, together, with other budgets, from several threads: the same bytes. */
static void a_prediction_does_not_depend_on_others(void **state)
{
    (void)state;
    tuff_model *model = model_open(with_tokenizer("bert-classes"));
    static const int64_t budgets[] = {0, 1, 7, 24};
    float want[WORDS * LABELS], got[WORDS * LABELS];
    for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++) {
        tuff_predictor_params params = TUFF_PREDICTOR_PARAMS_INIT;
        params.batch_tokens = budgets[b];
        tuff_predictor *p = predictor_of(model, &params);
        if (b == 0)
            for (size_t i = 0; i < WORDS; i++)
                KIT_OK(tuff_classify(p, words + i, 1, NULL, want + i * LABELS, NULL));
        KIT_OK(tuff_classify(p, words, WORDS, NULL, got, NULL));
        assert_memory_equal(got, want, sizeof want);
        asking asked[THREADS];
        tuff_thread *threads[THREADS] = {NULL};
        for (int t = 0; t < THREADS; t++) {
            asked[t] = (asking){.predictor = p};
            threads[t] = tuff_thread_start(ask, &asked[t]);
            assert_non_null(threads[t]);
        }
        for (int t = 0; t < THREADS; t++) {
            tuff_thread_join(&threads[t]);
            KIT_OK(asked[t].status);
            assert_memory_equal(asked[t].scores, want, sizeof want);
        }
        tuff_predictor_destroy(&p);
    }
    tuff_model_destroy(&model);
}

static void scoring_can_be_chosen(void **state)
{
    (void)state;
    tuff_model *model = model_open(with_tokenizer("bert-classes"));
    tuff_predictor *p = predictor_of(model, NULL);
    tuff_classify_params params = TUFF_CLASSIFY_PARAMS_INIT;
    tuff_predict_result result = TUFF_PREDICT_RESULT_INIT;
    float logits[LABELS], sigmoid[LABELS], softmax[LABELS];
    double sum = 0;
    params.scoring = TUFF_SCORING_NONE;
    KIT_OK(tuff_classify(p, words, 1, &params, logits, &result));
    assert_int_equal(result.tokens, 11);
    assert_int_equal(result.truncated, 0);
    params.scoring = TUFF_SCORING_SIGMOID;
    KIT_OK(tuff_classify(p, words, 1, &params, sigmoid, NULL));
    params.scoring = TUFF_SCORING_SOFTMAX;
    KIT_OK(tuff_classify(p, words, 1, &params, softmax, NULL));
    for (int i = 0; i < LABELS; i++)
        sum += exp((double)logits[i]);
    for (int i = 0; i < LABELS; i++) {
        near("a sigmoid", (double)sigmoid[i], 1 / (1 + exp(-(double)logits[i])));
        near("a softmax", (double)softmax[i], exp((double)logits[i]) / sum);
    }
    params.scoring = (tuff_scoring)9;
    KIT_FAILS(tuff_classify(p, words, 1, &params, logits, NULL), TUFF_INVALID_ARGUMENT, "no scoring 9");
    assert_string_equal(tuff_predictor_label(p, 1), "so so");
    assert_null(tuff_predictor_label(p, 3));
    assert_int_equal(tuff_predictor_task(p), TUFF_PREDICT_CLASSES);
    tuff_predictor_destroy(&p);
    tuff_model_destroy(&model);
}

static void long_inputs_are_cut(void **state)
{
    (void)state;
    tuff_model *model = model_open(with_tokenizer("bert-classes"));
    tuff_predictor_params params = TUFF_PREDICTOR_PARAMS_INIT;
    tuff_predict_result result = TUFF_PREDICT_RESULT_INIT;
    params.max_length = 6;
    tuff_predictor *p = predictor_of(model, &params);
    float scores[WORDS * LABELS];
    KIT_OK(tuff_classify(p, words, WORDS, NULL, scores, &result));
    assert_int_equal(result.truncated, 3);
    assert_int_equal(result.tokens, 6 + 3 + 2 + 6 + 3 + 6);
    assert_int_equal(tuff_predictor_max_length(p), 6);
    tuff_predictor_destroy(&p);
    params.max_length = 21;
    KIT_FAILS(tuff_predictor_create(model, device, &params, &p), TUFF_INVALID_ARGUMENT, "expected 2 to 20");
    tuff_model_destroy(&model);
}

static void what_cannot_be_predicted_is_refused(void **state)
{
    (void)state;
    const tuff_predict_input plain = {{"ab", 2}, {NULL, 0}}, pair = {{"ab", 2}, {"p", 1}},
                             behind = {{"ab cad ponk [MASK]", 18}, {NULL, 0}}, none = {{NULL, 1}, {NULL, 0}};
    tuff_predictor_params params = TUFF_PREDICTOR_PARAMS_INIT;
    tuff_predictor *p = NULL;
    tuff_guess *guesses = NULL;
    tuff_answer answer;
    float scores[LABELS];
    size_t count;
    tuff_model *bare = model_open("bert"), *decoder = model_open("gpt2"), *masked = model_open("bert-mlm");
    KIT_FAILS(tuff_predictor_create(bare, device, NULL, &p), TUFF_UNSUPPORTED,
              "this is an encoder bert, whose head is: none");
    KIT_FAILS(tuff_predictor_create(decoder, device, NULL, &p), TUFF_UNSUPPORTED,
              "this is a decoder gpt2, whose head is: language model");
    KIT_FAILS(tuff_predictor_create(masked, device, NULL, &p), TUFF_NOT_FOUND, "tokenizer");
    tuff_model_destroy(&bare);
    tuff_model_destroy(&decoder);
    tuff_model_destroy(&masked);
    masked = model_open(with_tokenizer("bert-mlm"));
    params.max_length = 8;
    params.guesses = 1025;
    KIT_FAILS(tuff_predictor_create(masked, device, &params, &p), TUFF_INVALID_ARGUMENT, "guesses is 1025");
    params.guesses = 1000;
    p = predictor_of(masked, &params);
    assert_int_equal(tuff_predictor_guesses(p), 50); /* the vocabulary */
    assert_int_equal(tuff_predictor_labels(p), 0);
    KIT_FAILS(tuff_fill_masks(p, &plain, 1, NULL, &count, &guesses, NULL), TUFF_INVALID_ARGUMENT,
              "input 0 has no [MASK]: there is nothing to fill");
    KIT_FAILS(tuff_fill_masks(p, &behind, 1, NULL, &count, &guesses, NULL), TUFF_INVALID_ARGUMENT,
              "no [MASK] among the 8 tokens that the model sees");
    KIT_FAILS(tuff_fill_masks(p, &pair, 1, NULL, &count, &guesses, NULL), TUFF_INVALID_ARGUMENT,
              "input 0 is a pair; guesses for masks are of single texts");
    KIT_FAILS(tuff_fill_masks(p, &none, 1, NULL, &count, &guesses, NULL), TUFF_INVALID_ARGUMENT,
              "the text of input 0 is NULL, and its size is not 0");
    KIT_FAILS(tuff_classify(p, &plain, 1, NULL, scores, NULL), TUFF_INVALID_ARGUMENT,
              "classes of texts are asked for, and the model's head is: masked language model");
    assert_null(guesses);
    tuff_predictor_destroy(&p);
    tuff_model_destroy(&masked);
    tuff_model *answering = model_open(with_tokenizer("bert-spans"));
    params = (tuff_predictor_params)TUFF_PREDICTOR_PARAMS_INIT;
    params.max_length = 6;
    p = predictor_of(answering, &params);
    const tuff_predict_input question = {{"ponk", 4}, {"ab cad", 6}};
    tuff_answer_params how = TUFF_ANSWER_PARAMS_INIT;
    KIT_FAILS(tuff_answer_questions(p, &plain, 1, NULL, &answer, &count, NULL), TUFF_INVALID_ARGUMENT,
              "input 0 is a question without a context");
    KIT_FAILS(tuff_answer_questions(p, &question, 1, NULL, &answer, &count, NULL), TUFF_INVALID_ARGUMENT,
              "question 0 takes 7 tokens with those around it, and a window has 6");
    how.overlap = 3;
    KIT_FAILS(tuff_answer_questions(p, &pair, 1, &how, &answer, &count, NULL), TUFF_INVALID_ARGUMENT,
              "room for 1 tokens, and the overlap is 3");
    how.answers = 65;
    KIT_FAILS(tuff_answer_questions(p, &pair, 1, &how, &answer, &count, NULL), TUFF_INVALID_ARGUMENT,
              "answers is 65, expected 1 to 64");
    tuff_predictor_destroy(&p);
    tuff_model_destroy(&answering);
}

/* A question that leaves little room in a window does not make it move on by single tokens. */
static void windows_move_on_beside_long_questions(void **state)
{
    (void)state;
    enum { LETTERS = 60, WINDOW = 12 };
    char context[LETTERS];
    tuff_model *answering = model_open(with_tokenizer("bert-spans"));
    tuff_predictor_params params = TUFF_PREDICTOR_PARAMS_INIT;
    tuff_predict_result result = TUFF_PREDICT_RESULT_INIT;
    tuff_answer answer;
    size_t count;
    memset(context, 'a', sizeof context);
    params.max_length = WINDOW;
    tuff_predictor *p = predictor_of(answering, &params);
    const tuff_predict_input question = {{"ponk", 4}, {context, sizeof context}}; /* 7 tokens, room for 5 */
    KIT_OK(tuff_answer_questions(p, &question, 1, NULL, &answer, &count, &result));
    assert_true(result.tokens > WINDOW * (LETTERS / 5));
    assert_true(result.tokens <= WINDOW * (LETTERS / 3 + 1));
    tuff_predictor_destroy(&p);
    tuff_model_destroy(&answering);
}

/* Bytes that are no UTF-8 are no reason to fail, and places are those of the text as it was given. */
static void places_are_of_the_bytes_that_were_given(void **state)
{
    (void)state;
    static const char broken[] = "\xff ab\xe2\x82 cad \xf0\x9f ponk\xc3";
    const tuff_piece text = {broken, sizeof broken - 1};
    tuff_model *model = model_open(with_tokenizer("bert-tokens"));
    tuff_predictor *p = predictor_of(model, NULL);
    tuff_entities_params how = TUFF_ENTITIES_PARAMS_INIT;
    tuff_predict_input input = {text, {NULL, 0}};
    tuff_entity *found = NULL;
    size_t count = 0;
    how.outside = true;
    KIT_OK(tuff_find_entities(p, &input, 1, &how, &found, &count, NULL));
    assert_int_equal(count, 9); /* letters: what is broken is left out */
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(found[i].span.end - found[i].span.start, 1);
        assert_true(broken[found[i].span.start] >= 'a' && broken[found[i].span.start] <= 'p');
    }
    tuff_free(found);
    tuff_predictor_destroy(&p);
    tuff_model_destroy(&model);

    model = model_open(with_tokenizer("bert-spans"));
    p = predictor_of(model, NULL);
    tuff_answer_params params = TUFF_ANSWER_PARAMS_INIT;
    tuff_answer answers[8];
    params.answers = 8;
    input = (tuff_predict_input){{"ponk\xff", 5}, text};
    KIT_OK(tuff_answer_questions(p, &input, 1, &params, answers, &count, NULL));
    assert_true(count > 2);
    for (size_t i = 0; i < count; i++)
        assert_true(answers[i].span.start < answers[i].span.end && answers[i].span.end <= text.size);
    tuff_predictor_destroy(&p);
    tuff_model_destroy(&model);
}

static void a_call_can_be_ended(void **state)
{
    (void)state;
    tuff_model *model = model_open(with_tokenizer("bert-classes"));
    tuff_predictor *p = predictor_of(model, NULL);
    tuff_classify_params params = TUFF_CLASSIFY_PARAMS_INIT;
    tuff_watch watch = TUFF_WATCH_INIT;
    float scores[LABELS];
    KIT_OK(tuff_cancel_create(&watch.cancel));
    tuff_cancel_request(watch.cancel);
    params.watch = &watch;
    assert_int_equal(tuff_classify(p, words, 1, &params, scores, NULL), TUFF_CANCELLED);
    tuff_cancel_reset(watch.cancel);
    KIT_OK(tuff_classify(p, words, 1, &params, scores, NULL));
    tuff_cancel_destroy(&watch.cancel);
    tuff_predictor_destroy(&p);
    tuff_model_destroy(&model);
}

/* Calls and the last figures of encoding; it never goes back. */
typedef struct encoding_told {
    int calls;
    uint64_t done, total;
} encoding_told;

static bool take_encoding(const tuff_progress *progress, void *user)
{
    encoding_told *told = user;
    if (progress->phase != TUFF_PHASE_TOKENIZE) return true;
    assert_true(told->calls == 0 || (progress->total == told->total && progress->done > told->done));
    *told = (encoding_told){told->calls + 1, progress->done, progress->total};
    return true;
}

static void an_empty_text_may_be_null(void **state)
{
    (void)state;
    tuff_model *model = model_open(with_tokenizer("bert-classes"));
    tuff_predictor *p = predictor_of(model, NULL);
    const tuff_predict_input null = {{NULL, 0}, {NULL, 0}}, empty = {{"", 0}, {NULL, 0}};
    float scores[2][LABELS];
    KIT_OK(tuff_classify(p, &null, 1, NULL, scores[0], NULL));
    KIT_OK(tuff_classify(p, &empty, 1, NULL, scores[1], NULL));
    assert_memory_equal(scores[0], scores[1], sizeof scores[0]);
    tuff_predictor_destroy(&p);
    tuff_model_destroy(&model);
}

static void encoding_is_told_as_one(void **state)
{
    (void)state;
    enum { MANY = 500 };
    tuff_model *model = model_open(with_tokenizer("bert-classes"));
    tuff_predictor *p = predictor_of(model, NULL);
    tuff_classify_params params = TUFF_CLASSIFY_PARAMS_INIT;
    tuff_watch watch = TUFF_WATCH_INIT;
    tuff_predict_input many[MANY];
    float *scores = tuff_alloc_array((size_t)MANY * LABELS, sizeof *scores);
    encoding_told told = {0};
    for (int i = 0; i < MANY; i++)
        many[i] = (tuff_predict_input){.text = {"ab cd", 5}, .pair = {"ef", 2}};
    watch.on_progress = take_encoding;
    watch.user = &told;
    params.watch = &watch;
    KIT_OK(tuff_classify(p, many, MANY, &params, scores, NULL));
    assert_int_equal(told.total, 7 * MANY);
    assert_int_equal(told.done, told.total);
    assert_true(told.calls > 50 && told.calls <= 200);
    tuff_free(scores);
    tuff_predictor_destroy(&p);
    tuff_model_destroy(&model);
}

/* More masks than are computed at once: in several batches, each as it is alone; in one text, refused. */
static void many_masks_are_many_batches(void **state)
{
    (void)state;
    enum { TIMES = 200 };
    tuff_model *model = model_open(with_tokenizer("modernbert-mlm"));
    tuff_predictor *p = predictor_of(model, NULL);
    static const char text[] = "[MASK] ab [MASK] p [MASK] [MASK]";
    tuff_predict_input inputs[TIMES];
    size_t masks[TIMES];
    tuff_guess *all = NULL, *alone = NULL;
    for (int i = 0; i < TIMES; i++)
        inputs[i] = (tuff_predict_input){{text, sizeof text - 1}, {NULL, 0}};
    KIT_OK(tuff_fill_masks(p, inputs, 1, NULL, masks, &alone, NULL));
    assert_int_equal(masks[0], 4);
    KIT_OK(tuff_fill_masks(p, inputs, TIMES, NULL, masks, &all, NULL));
    for (size_t i = 0; i < TIMES; i++)
        assert_memory_equal(all + i * 4 * 5, alone, 4 * 5 * sizeof *all);
    tuff_free(all);
    tuff_free(alone);
    tuff_predictor_destroy(&p);

    tuff_predictor_params params = TUFF_PREDICTOR_PARAMS_INIT;
    tuff_buf many = {0};
    params.max_length = 600;
    p = predictor_of(model, &params);
    for (int i = 0; i < 513; i++)
        tuff_buf_text(&many, "[MASK] ");
    inputs[0].text = (tuff_piece){many.data, many.size};
    KIT_FAILS(tuff_fill_masks(p, inputs, 1, NULL, masks, &all, NULL), TUFF_INVALID_ARGUMENT,
              "input 0 has 513 masks, expected at most 512");
    inputs[0].text.size -= sizeof "[MASK]";
    KIT_OK(tuff_fill_masks(p, inputs, 1, NULL, masks, &all, NULL));
    assert_int_equal(masks[0], 512);
    tuff_free(all);
    tuff_buf_free(&many);
    tuff_predictor_destroy(&p);
    tuff_model_destroy(&model);
}

/* A call whose allocations fail leaves nothing behind. */
static tuff_status all_of_one(void *user)
{
    tuff_predictor *p = NULL;
    const tuff_predict_input input = {{"ab cad", 6}, {"ponk dim ok", 11}};
    tuff_answer answers[2];
    size_t count;
    tuff_answer_params params = TUFF_ANSWER_PARAMS_INIT;
    params.answers = 2;
    tuff_status status = tuff_predictor_create(user, device, NULL, &p);
    if (status == TUFF_OK) status = tuff_answer_questions(p, &input, 1, &params, answers, &count, NULL);
    tuff_predictor_destroy(&p);
    return status;
}

static void failing_allocations_are_errors(void **state)
{
    (void)state;
    tuff_model *model = model_open(with_tokenizer("bert-spans"));
    model_fail_some_allocations(all_of_one, model);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictions_are_those_of_transformers),
        cmocka_unit_test(a_prediction_does_not_depend_on_others),
        cmocka_unit_test(scoring_can_be_chosen),
        cmocka_unit_test(long_inputs_are_cut),
        cmocka_unit_test(what_cannot_be_predicted_is_refused),
        cmocka_unit_test(windows_move_on_beside_long_questions),
        cmocka_unit_test(places_are_of_the_bytes_that_were_given),
        cmocka_unit_test(a_call_can_be_ended),
        cmocka_unit_test(encoding_is_told_as_one),
        cmocka_unit_test(an_empty_text_may_be_null),
        cmocka_unit_test(many_masks_are_many_batches),
        cmocka_unit_test(failing_allocations_are_errors),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
