/* Many prompts at once, of memory and of files: their texts in order, what is wrong with one of them, calls
 * that end early. */
#include "base/watch.h"
#include "generate/batcher.h"
#include "model_fixture.h"

static tuff_device *device;
static tuff_model *llama;

static int begin(void **state)
{
    (void)state;
    device = kit_cpu();
    llama = model_open("llama");
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_model_destroy(&llama);
    tuff_device_destroy(&device);
    return 0;
}

/* Lengths that differ: those that begin later end sooner. */
static const char *const prompts[] = {
    "The river and the old stone bridge that stood over it", "a", "of", "she went to the river", "the", "in"};
enum { PROMPTS = sizeof prompts / sizeof *prompts, COPIES = 3, TEXTS = PROMPTS * COPIES };

static tuff_batcher *batcher_of(int64_t sequences, int64_t context)
{
    tuff_batcher_params params = TUFF_BATCHER_PARAMS_INIT;
    tuff_batcher *b = NULL;
    params.max_sequences = sequences;
    params.context_length = context;
    params.invariant = true;
    KIT_OK(tuff_batcher_create(llama, device, &params, &b));
    return b;
}

typedef struct receiver {
    char text[TEXTS][256];
    size_t size[TEXTS];
    int order[TEXTS], count, most; /* most: texts that are taken; 0: all */
    int failed;
    char error[256];
} receiver;

static bool receive(const tuff_generated *text, void *user)
{
    receiver *r = user;
    int at = (int)(text->record * COPIES + text->number);
    assert_in_range(at, 0, TEXTS - 1);
    assert_true(text->text_size < sizeof r->text[at]);
    memcpy(r->text[at], text->text, text->text_size);
    r->size[at] = text->text_size;
    r->order[r->count++] = at;
    if (text->result->finish == TUFF_FINISH_FAILED) {
        r->failed = at;
        snprintf(r->error, sizeof r->error, "%s", text->error);
    } else {
        assert_string_equal(text->error, "");
        assert_int_equal(text->prompt_size, strlen(prompts[text->record]));
        assert_memory_equal(text->prompt, prompts[text->record], text->prompt_size);
    }
    return r->count != r->most;
}

typedef struct settings {
    tuff_sampling sampling;
    tuff_generate_params each;
    tuff_generate_many_params params;
} settings;

static void set(settings *s, receiver *r, int64_t tokens)
{
    *s = (settings){TUFF_SAMPLING_INIT, TUFF_GENERATE_PARAMS_INIT, TUFF_GENERATE_MANY_PARAMS_INIT};
    *r = (receiver){.failed = -1};
    s->sampling.temperature = 1;
    s->sampling.seed = 3;
    s->sampling.sequence = 40;
    s->each.sampling = &s->sampling;
    s->each.max_new_tokens = tokens;
    s->params.num_return_sequences = COPIES;
    s->params.generate = &s->each;
    s->params.on_text = receive;
    s->params.user = r;
}

static bool keep(const char *piece, size_t size, void *user)
{
    tuff_buf_bytes(user, piece, size);
    return true;
}

/* Each is what a sequence with its number gives alone; from memory and from files alike. */
static void texts_come_in_order(void **state)
{
    (void)state;
    static receiver memory, file;
    settings s;
    tuff_generate_many_result result = TUFF_GENERATE_MANY_RESULT_INIT;
    tuff_batcher *b = batcher_of(4, 0);
    set(&s, &memory, 11);
    KIT_OK(tuff_generate_many(b, prompts, NULL, PROMPTS, &s.params, &result));
    assert_int_equal(memory.count, TEXTS);
    assert_int_equal(result.texts, TEXTS);
    assert_int_equal(result.failed, 0);
    assert_int_equal(b->count, 0);
    bool sooner = false; /* some end by themselves, so that not all take equally long */
    for (int i = 0; i < TEXTS; i++) {
        tuff_buf alone = {0};
        tuff_generate_result one = TUFF_GENERATE_RESULT_INIT;
        tuff_sequence *sequence = NULL;
        tuff_sampling sampling = s.sampling;
        tuff_generate_params params = s.each;
        sampling.sequence += (uint32_t)i;
        params.sampling = &sampling;
        params.on_text = keep;
        params.user = &alone;
        assert_int_equal(memory.order[i], i);
        KIT_OK(tuff_batcher_add(b, prompts[i / COPIES], strlen(prompts[i / COPIES]), &params, &sequence));
        KIT_OK(tuff_batcher_run(b, NULL));
        KIT_OK(tuff_sequence_result(sequence, &one));
        assert_int_equal(alone.size, memory.size[i]);
        assert_memory_equal(alone.data ? alone.data : "", memory.text[i], alone.size);
        result.new_tokens -= one.new_tokens;
        result.prompt_tokens -= one.prompt_tokens;
        sooner = sooner || one.new_tokens < 11;
        tuff_buf_free(&alone);
        KIT_OK(tuff_batcher_remove(b, &sequence));
    }
    assert_int_equal(result.new_tokens, 0);
    assert_int_equal(result.prompt_tokens, 0);
    assert_true(sooner);
    for (int json = 0; json < 2; json++) {
        tuff_buf text = {0};
        for (int i = 0; i < PROMPTS; i++)
            tuff_buf_printf(&text, json ? "{\"q\": \"%s\", \"prompt\": 1}\n" : "%s\n", prompts[i]);
        const char *path = kit_temp_path(json ? "prompts.jsonl" : "prompts.txt");
        kit_write_file(path, text.data, text.size);
        tuff_buf_free(&text);
        set(&s, &file, 11);
        s.params.field = json ? "q" : NULL;
        KIT_OK(tuff_generate_file(b, path, &s.params, NULL));
        assert_int_equal(file.count, TEXTS);
        assert_memory_equal(file.text, memory.text, sizeof file.text);
    }
    tuff_batcher_destroy(&b);
}

/* A prompt that is too long fails alone, in its place. A line that is no record ends the file, when all
 * before it is done. */
static void what_is_wrong_with_one(void **state)
{
    (void)state;
    static receiver r;
    settings s;
    tuff_generate_many_result result = TUFF_GENERATE_MANY_RESULT_INIT;
    tuff_batcher *b = batcher_of(3, 24);
    set(&s, &r, 4);
    s.params.num_return_sequences = 0;
    KIT_OK(tuff_generate_many(b, prompts, NULL, PROMPTS, &s.params, &result));
    assert_int_equal(r.count, PROMPTS);
    assert_int_equal(r.failed, 0);
    assert_non_null(strstr(r.error, "leaves no room"));
    assert_int_equal(result.failed, 1);
    assert_int_equal(result.texts, PROMPTS);
    const char *path = kit_temp_path("bad.jsonl");
    static const char lines[] =
        "{\"prompt\": \"The river and the old stone bridge that stood over it\"}\n"
        "{\"prompt\": \"a\"}\n{\"prompt\": \"of\"}\n{\"text\": \"a\"}\n{\"prompt\": \"a\"}\n";
    kit_write_file(path, lines, sizeof lines - 1);
    tuff_batcher_destroy(&b);
    b = batcher_of(3, 0);
    set(&s, &r, 4);
    s.params.num_return_sequences = 0;
    KIT_FAILS(tuff_generate_file(b, path, &s.params, &result), TUFF_BAD_FORMAT, "line 4");
    assert_int_equal(r.count, 3);
    assert_int_equal(result.texts, 3);
    set(&s, &r, 4);
    s.sampling.temperature = -1; /* what is wrong with all fails the call */
    KIT_FAILS(tuff_generate_many(b, prompts, NULL, PROMPTS, &s.params, &result), TUFF_INVALID_ARGUMENT,
              "temperature");
    assert_int_equal(r.count, 0);
    set(&s, &r, 4);
    s.each.on_text = keep;
    KIT_FAILS(tuff_generate_many(b, prompts, NULL, PROMPTS, &s.params, &result), TUFF_INVALID_ARGUMENT,
              "no callbacks");
    KIT_FAILS(tuff_generate_file(b, kit_temp_path("none"), &s.params, &result), TUFF_INVALID_ARGUMENT,
              "no callbacks");
    tuff_batcher_destroy(&b);
}

typedef struct asked {
    tuff_batcher *batcher;
    size_t ended; /* texts that have, before which the call is to end */
    bool stopped;
} asked;

/* Goes on until enough have ended, so that some of them have an unfinished one before them. */
static bool stop_when_some_ended(const tuff_progress *progress, void *user)
{
    asked *a = user;
    size_t ended = 0;
    if (progress->phase != TUFF_PHASE_GENERATE) return true;
    for (size_t i = 0; i < a->batcher->count; i++)
        ended += a->batcher->all[i]->ended;
    a->stopped = ended >= a->ended;
    return !a->stopped;
}

/* Cancelled, it still gives out what has ended, also behind a text that has not. */
static void nothing_that_ended_is_lost(void **state)
{
    (void)state;
    static receiver r;
    settings s;
    tuff_generate_many_result result = TUFF_GENERATE_MANY_RESULT_INIT;
    tuff_batcher *b = batcher_of(4, 0);
    asked a = {.batcher = b, .ended = 2};
    const tuff_watch watch = {.struct_size = sizeof watch, .on_progress = stop_when_some_ended, .user = &a};
    set(&s, &r, 100);
    s.params.watch = &watch;
    KIT_FAILS(tuff_generate_many(b, prompts, NULL, PROMPTS, &s.params, &result), TUFF_CANCELLED, "cancelled");
    assert_true(a.stopped);
    assert_true(r.count >= 2);
    assert_int_equal(result.texts, r.count);
    bool gap = false;
    for (int i = 0; i < r.count; i++)
        gap = gap || r.order[i] != i;
    assert_true(gap);
    assert_int_equal(b->count, 0); /* the others are gone */
    set(&s, &r, 6);
    r.most = 5;
    KIT_FAILS(tuff_generate_many(b, prompts, NULL, PROMPTS, &s.params, &result), TUFF_CANCELLED, "receiver");
    assert_int_equal(r.count, 5);
    set(&s, &r, 6);
    KIT_OK(tuff_generate_many(b, prompts, NULL, PROMPTS, &s.params, &result));
    assert_int_equal(r.count, TEXTS);
    tuff_batcher_destroy(&b);
}

static tuff_status many(void *user)
{
    static receiver r;
    settings s;
    tuff_batcher *b = NULL;
    const tuff_batcher_params of = {.struct_size = sizeof of, .context_length = 64, .max_sequences = 2};
    set(&s, &r, 2);
    s.params.num_return_sequences = 1;
    tuff_status status = tuff_batcher_create(llama, user, &of, &b);
    if (status == TUFF_OK) status = tuff_generate_many(b, prompts, NULL, 3, &s.params, NULL);
    if (status == TUFF_OK && r.failed >= 0) status = TUFF_OUT_OF_MEMORY;
    tuff_batcher_destroy(&b);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(many, device) > 50);
}

/* A search takes the cache for itself: whose text is under way gets what it gets alone. */
static void a_search_comes_between(void **state)
{
    (void)state;
    static receiver found;
    settings s;
    tuff_batcher *b = batcher_of(4, 0);
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    tuff_sequence *alone = NULL, *sequence = NULL;
    size_t n = 0, made = 0, left = 1;
    params.max_new_tokens = 40;
    params.ignore_eos = true;
    KIT_OK(tuff_batcher_add(b, prompts[0], strlen(prompts[0]), &params, &alone));
    KIT_OK(tuff_batcher_run(b, NULL));
    KIT_OK(tuff_batcher_add(b, prompts[0], strlen(prompts[0]), &params, &sequence));
    while (made < 5) {
        KIT_OK(tuff_batcher_step(b, NULL, &left));
        made = sequence->count - (size_t)sequence->given;
    }
    set(&s, &found, 11);
    s.sampling = (tuff_sampling)TUFF_SAMPLING_INIT;
    s.each.num_beams = COPIES;
    s.params.num_return_sequences = 1;
    KIT_OK(tuff_generate_many(b, prompts, NULL, PROMPTS, &s.params, NULL));
    assert_int_equal(found.count, PROMPTS);
    assert_false(sequence->ended);
    KIT_OK(tuff_batcher_run(b, NULL));
    const int32_t *want = tuff_sequence_ids(alone, &n), *got = tuff_sequence_ids(sequence, &made);
    assert_int_equal(made, n);
    assert_memory_equal(got, want, n * sizeof *want);
    tuff_batcher_destroy(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_in_order),       cmocka_unit_test(a_search_comes_between),
        cmocka_unit_test(what_is_wrong_with_one),    cmocka_unit_test(nothing_that_ended_is_lost),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
