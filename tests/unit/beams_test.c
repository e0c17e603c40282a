/* Searches with beams, with settings that change log-probabilities, and the texts behind the best, against
 * transformers (assets/golden/beams/penalties.json, made by tests/reference/make_beam_goldens.py). */
#include <math.h>
#include <tuff/generate.h>

#include "base/json.h"
#include "cpu_fixture.h"
#include "generate/batcher.h"
#include "generate/beams.h"
#include "generate/generator.h"
#include "model_fixture.h"

enum { MOST = 16, BIASES = 4 };

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item) fail_msg("the truth of beams has no %s", key);
    return item;
}

static double number(const cJSON *object, const char *key, double preset)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return item ? item->valuedouble : preset;
}

static size_t ids_of(const cJSON *list, int32_t *out)
{
    size_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        assert_true(n < MOST);
        out[n++] = (int32_t)item->valuedouble;
    }
    return n;
}

typedef struct settings {
    tuff_generate_params params;
    tuff_sampling sampling;
    tuff_logit_bias biases[BIASES];
    int32_t bias_ids[BIASES][MOST], ends[MOST];
} settings;

static void read_settings(const cJSON *truth, const cJSON *run, settings *s)
{
    const cJSON *stopping = cJSON_GetObjectItemCaseSensitive(run, "early_stopping"), *bias;
    *s = (settings){.params = TUFF_GENERATE_PARAMS_INIT, .sampling = TUFF_SAMPLING_INIT};
    s->params.sampling = &s->sampling;
    s->params.max_new_tokens = (int64_t)number(truth, "max_new_tokens", 0);
    s->params.min_new_tokens = (int64_t)number(run, "min_new_tokens", 0);
    s->params.num_beams = (int64_t)number(run, "num_beams", 0);
    s->params.length_penalty = number(run, "length_penalty", 1);
    s->params.early_stopping = cJSON_IsString(stopping) ? TUFF_EARLY_STOPPING_NEVER
                               : cJSON_IsTrue(stopping) ? TUFF_EARLY_STOPPING_YES
                                                        : TUFF_EARLY_STOPPING_NO;
    s->params.ignore_eos = true;
    s->params.eos_ids = s->ends;
    s->params.eos_id_count = ids_of(get(run, "eos"), s->ends);
    s->sampling.repetition_penalty = (float)number(run, "repetition_penalty", 0);
    s->sampling.no_repeat_ngram_size = (uint32_t)number(run, "no_repeat_ngram_size", 0);
    s->sampling.logit_bias = s->biases;
    cJSON_ArrayForEach(bias, cJSON_GetObjectItemCaseSensitive(run, "sequence_bias"))
    {
        const size_t i = s->sampling.logit_bias_count++;
        const cJSON *value = cJSON_GetArrayItem(bias, 1);
        s->biases[i] = (tuff_logit_bias)TUFF_LOGIT_BIAS_INIT;
        s->biases[i].ids = s->bias_ids[i];
        s->biases[i].count = ids_of(cJSON_GetArrayItem(bias, 0), s->bias_ids[i]);
        s->biases[i].bias = cJSON_IsString(value) ? -INFINITY : (float)value->valuedouble;
    }
}

static void check_text(const tuff_sequence *s, const cJSON *text, const char *name, int number_of_run)
{
    int32_t want[MOST];
    size_t n = ids_of(text, want);
    const bool ended = tuff_sequence_is_end(s, want[n - 1]);
    n -= ended;
    if (s->count - (size_t)s->given != n || memcmp(s->ids + s->given, want, n * sizeof *want) != 0)
        fail_msg("%s, run %d: another text is found", name, number_of_run);
    assert_int_equal(s->result.finish, ended ? TUFF_FINISH_EOS : TUFF_FINISH_LENGTH);
}

static int check_model(const cJSON *truth)
{
    const char *prompt = get(truth, "prompt")->valuestring;
    tuff_model *model = model_open(truth->string);
    tuff_batcher_params of = TUFF_BATCHER_PARAMS_INIT;
    tuff_batcher *b;
    int runs = 0;
    of.max_sequences = 1;
    KIT_OK(tuff_batcher_create(model, device, &of, &b));
    const cJSON *run;
    cJSON_ArrayForEach(run, get(truth, "runs"))
    {
        settings s;
        tuff_sequence *found[MOST] = {NULL};
        size_t n = 0;
        const cJSON *text;
        read_settings(truth, run, &s);
        cJSON_ArrayForEach(text, get(run, "texts"))
            KIT_OK(tuff_batcher_append(b, prompt, strlen(prompt), &s.params, NULL, &found[n++]));
        KIT_OK(tuff_beams_find(b, found, n, NULL));
        n = 0;
        cJSON_ArrayForEach(text, get(run, "texts")) check_text(found[n++], text, truth->string, runs);
        while (n > 0)
            tuff_batcher_drop(b, &found[--n]);
        runs++;
    }
    tuff_batcher_destroy(&b);
    tuff_model_destroy(&model);
    return runs;
}

static void settings_count_for_beams(void **state)
{
    (void)state;
    cJSON *json = NULL;
    int runs = 0;
    const cJSON *truth;
    KIT_OK(tuff_json_read(kit_asset("golden/beams/penalties.json"), &json));
    cJSON_ArrayForEach(truth, json) runs += check_model(truth);
    assert_true(runs >= 60);
    cJSON_Delete(json);
}

static void no_text_is_left(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    tuff_generator *generator;
    tuff_model_info info = TUFF_MODEL_INFO_INIT;
    KIT_OK(tuff_model_get_info(model, &info));
    int32_t *ids = tuff_alloc_array((size_t)info.vocab_size, sizeof *ids);
    tuff_logit_bias *biases = tuff_alloc_array((size_t)info.vocab_size, sizeof *biases);
    assert_true(ids && biases);
    for (int32_t i = 0; i < info.vocab_size; i++) {
        ids[i] = i;
        biases[i] = (tuff_logit_bias){sizeof *biases, &ids[i], 1, -INFINITY, 0};
    }
    tuff_sampling sampling = TUFF_SAMPLING_INIT;
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    sampling.logit_bias = biases;
    sampling.logit_bias_count = (size_t)info.vocab_size;
    params.sampling = &sampling;
    params.num_beams = 3;
    params.max_new_tokens = 4;
    KIT_OK(tuff_generator_create(model, device, NULL, &generator));
    KIT_FAILS(tuff_generate(generator, "a", 1, &params, NULL), TUFF_INVALID_ARGUMENT,
              "every text is forbidden");
    sampling.logit_bias_count--; /* all but one */
    KIT_OK(tuff_generate(generator, "a", 1, &params, NULL));
    tuff_generator_destroy(&generator);
    tuff_free(ids);
    tuff_free(biases);
    tuff_model_destroy(&model);
}

typedef struct made {
    char text[4096];
    size_t size;
} made;

static bool take(const char *text, size_t size, void *user)
{
    made *m = user;
    assert_true(m->size + size <= sizeof m->text);
    memcpy(m->text + m->size, text, size);
    m->size += size;
    return true;
}

/* A text of 12 tokens behind so many letters, by a search with so many beams. */
static made search(tuff_generator *generator, size_t letters, int64_t beams)
{
    char prompt[1024];
    made m = {.size = 0};
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    assert_true(letters <= sizeof prompt);
    for (size_t i = 0; i < letters; i++)
        prompt[i] = "theriver"[i * i % 8];
    params.num_beams = beams;
    params.max_new_tokens = 12;
    params.ignore_eos = true;
    params.on_text = take;
    params.user = &m;
    KIT_OK(tuff_generate(generator, prompt, letters, &params, NULL));
    return m;
}

/* A cache that has as many slots as there were beams grows for texts that have fewer, or for a longer source.
 */
static void a_wide_search_comes_first(void **state)
{
    (void)state;
    static const char *const names[] = {"llama", "t5"};
    static const int64_t then[] = {1, 2};
    tuff_generator_params of = TUFF_GENERATOR_PARAMS_INIT;
    of.context_length = 4096;
    for (int i = 0; i < 4; i++) {
        const bool decoder = i / 2 == 0;
        tuff_generator *generator, *fresh;
        tuff_model *model = model_open(names[i / 2]);
        KIT_OK(tuff_generator_create(model, device, &of, &generator));
        KIT_OK(tuff_generator_create(model, device, &of, &fresh));
        const tuff_runner *r = generator->batcher->runner;
        search(generator, 1, 8);
        assert_int_equal(r->slots, 8);
        assert_int_equal(decoder ? r->capacity : r->source_capacity, decoder ? 256 : 64);
        const made got = search(generator, 900, then[i % 2]), want = search(fresh, 900, then[i % 2]);
        assert_true(decoder ? r->capacity > 256 : r->source_capacity > 64);
        assert_int_equal(got.size, want.size);
        assert_memory_equal(got.text, want.text, want.size);
        tuff_generator_destroy(&generator);
        tuff_generator_destroy(&fresh);
        tuff_model_destroy(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wide_search_comes_first),
        cmocka_unit_test(settings_count_for_beams),
        cmocka_unit_test(no_text_is_left),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
