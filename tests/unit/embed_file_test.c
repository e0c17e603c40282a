#define _XOPEN_SOURCE 700
/* Files of vectors: what is in them, going on after an interruption, and what ends one. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tuff/embed.h>
#include <unistd.h>

#include "base/file.h"
#include "base/half.h"
#include "formats/npy.h"
#include "kit/files.h"
#include "model_fixture.h"

static tuff_device *device;
static tuff_model *model;
static tuff_embedder *embedder;
static char input[512], output[512], part[600], progress[600];
enum { LINES = 5000, DIMENSIONS = 32 };

/* Lines of a few words, different ones. */
static void write_lines(int lines, const char *last)
{
    tuff_buf text = {0};
    for (int i = 0; i < lines; i++)
        tuff_buf_printf(&text, "the %s ship %d\n", i % 3 ? "old" : "new", i * 7 % 101);
    tuff_buf_text(&text, last);
    kit_write_file(input, text.data, text.size);
    tuff_buf_free(&text);
}

static int set_up(void **state)
{
    (void)state;
    device = kit_cpu();
    model = model_open("llama");
    KIT_OK(tuff_embedder_create(model, device, NULL, &embedder));
    snprintf(input, sizeof input, "%s", kit_path("texts.txt"));
    snprintf(output, sizeof output, "%s", kit_path("vectors.npy"));
    snprintf(part, sizeof part, "%s.part", output);
    snprintf(progress, sizeof progress, "%s.part.json", output);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tuff_embedder_destroy(&embedder);
    tuff_model_destroy(&model);
    tuff_device_destroy(&device);
    return 0;
}

/* The array of the file; its bytes are freed by the caller. */
static tuff_npy read_array(tuff_buf *bytes)
{
    tuff_npy array;
    kit_read_file(output, bytes);
    KIT_OK(tuff_npy_parse((const uint8_t *)bytes->data, bytes->size, output, &array));
    assert_int_equal(array.rank, 2);
    return array;
}

static void vectors_of_a_file_are_those_of_its_lines(void **state)
{
    (void)state;
    write_lines(20, "last");
    tuff_embed_file_result result = TUFF_EMBED_FILE_RESULT_INIT;
    KIT_OK(tuff_embed_file(embedder, input, output, NULL, &result));
    assert_int_equal(result.vectors, 21);
    assert_int_equal(result.resumed, 0);
    assert_true(result.tokens > 21);
    tuff_buf bytes = {0};
    tuff_npy array = read_array(&bytes);
    assert_int_equal(array.shape[0], 21);
    assert_int_equal(array.shape[1], DIMENSIONS);
    KIT_OK(tuff_record_check(output, input, NULL));
    kit_edit_file(input, "ship 0", "ship 1");
    KIT_FAILS(tuff_record_check(output, input, NULL), TUFF_INVALID_ARGUMENT,
              "it is another file than was embedded, was changed since");
    kit_edit_file(input, "ship 1", "ship 0");
    KIT_OK(tuff_record_check(output, input, NULL));
    KIT_FAILS(tuff_record_check(kit_path("none.npy"), input, NULL), TUFF_NOT_FOUND, "none.origin.json");
    float vector[DIMENSIONS];
    const char *const text = "last";
    KIT_OK(tuff_embed(embedder, &text, NULL, 1, NULL, vector, NULL));
    assert_memory_equal(array.data + (size_t)20 * DIMENSIONS * 4, vector, sizeof vector);
    assert_false(tuff_is_file(part) || tuff_is_file(progress));

    for (int type = TUFF_VECTOR_F16; type <= TUFF_VECTOR_BINARY; type++) {
        tuff_embed_file_params params = TUFF_EMBED_FILE_PARAMS_INIT;
        params.type = (tuff_vector_type)type;
        KIT_OK(tuff_embed_file(embedder, input, output, &params, NULL));
        tuff_buf other = {0};
        tuff_npy stored = read_array(&other);
        assert_int_equal(stored.shape[1], type == TUFF_VECTOR_BINARY ? DIMENSIONS / 8 : DIMENSIONS);
        float largest = 0;
        for (int i = 0; i < DIMENSIONS; i++)
            largest = fmaxf(largest, fabsf(vector[i]));
        for (size_t i = 0; i < DIMENSIONS; i++) {
            size_t at = (size_t)20 * DIMENSIONS + i;
            uint16_t half;
            memcpy(&half, stored.data + (type == TUFF_VECTOR_F16 ? 2 * at : 0), 2);
            if (type == TUFF_VECTOR_F16)
                assert_true(tuff_f16_to_f32(half) == tuff_f16_to_f32(tuff_f32_to_f16(vector[i])));
            else if (type == TUFF_VECTOR_INT8)
                assert_int_equal((int8_t)stored.data[at], lrintf(127 * (vector[i] / largest)));
            else
                assert_int_equal(stored.data[at / 8] >> (7 - at % 8) & 1, vector[i] > 0);
        }
        tuff_buf_free(&other);
    }
    tuff_buf_free(&bytes);
}

static char warning[512];

static void hear(tuff_log_level level, const char *message, void *user)
{
    (void)level;
    (void)user;
    snprintf(warning, sizeof warning, "%s", message);
}

/* Another model, adapter or pooling makes vectors of the same size, and what they are compared with means
 * nothing. */
static void vectors_tell_of_which_model_they_are(void **state)
{
    (void)state;
    const char *origin = kit_path("vectors.origin.json");
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    tuff_embedder *other = NULL;
    write_lines(3, "");
    KIT_OK(tuff_embed_file(embedder, input, output, NULL, NULL));
    KIT_OK(tuff_embedder_check(embedder, output));
    params.pooling = TUFF_POOLING_MEAN;
    KIT_OK(tuff_embedder_create(model, device, &params, &other));
    KIT_FAILS(tuff_embedder_check(other, output), TUFF_INVALID_ARGUMENT, "was made by another model than");
    tuff_embedder_destroy(&other);
    /* one that is cut, and one of vectors that are not scaled, is of the same model */
    params.pooling = TUFF_POOLING_MODEL;
    params.normalize = TUFF_NORMALIZE_NO;
    params.dimensions = DIMENSIONS / 2;
    KIT_OK(tuff_embedder_create(model, device, &params, &other));
    KIT_OK(tuff_embedder_check(other, output));
    tuff_embedder_destroy(&other);
    /* one that cuts texts off early cannot tell */
    params.max_length = 8;
    KIT_OK(tuff_embedder_create(model, device, &params, &other));
    KIT_FAILS(tuff_embedder_check(other, output), TUFF_NOT_FOUND, "too few to tell models apart");
    tuff_embedder_destroy(&other);
    params.max_length = 0;
    params.pooling = TUFF_POOLING_NONE;
    params.dimensions = 0;
    KIT_OK(tuff_embedder_create(model, device, &params, &other));
    KIT_FAILS(tuff_embedder_check(other, output), TUFF_INVALID_ARGUMENT, "a vector per token");
    tuff_embedder_destroy(&other);
    /* as an array of an earlier version, and of a model that is nearly the same */
    kit_edit_file(origin, "\"probe\"", "\"other\"");
    KIT_FAILS(tuff_embedder_check(embedder, output), TUFF_NOT_FOUND, "does not tell of which model");
    kit_edit_file(origin, "\"other\": [", "\"probe\": [0, ");
    KIT_FAILS(tuff_embedder_check(embedder, output), TUFF_INVALID_ARGUMENT, "was made by another model than");
    float vector[DIMENSIONS];
    const char *const text = "What this becomes tells models apart.";
    tuff_buf numbers = {0};
    KIT_OK(tuff_embed(embedder, &text, NULL, 1, NULL, vector, NULL));
    for (int i = 0; i < DIMENSIONS; i++)
        tuff_buf_printf(&numbers, "%s%.9g", i ? ", " : "{\"probe\": [",
                        (double)vector[i] + (i == 0 ? 0.2 : 0.0));
    tuff_buf_text(&numbers, "]}");
    kit_write_file(origin, numbers.data, numbers.size);
    tuff_buf_free(&numbers);
    tuff_set_log(hear, TUFF_LOG_WARN, NULL);
    KIT_OK(tuff_embedder_check(embedder, output));
    tuff_set_log(NULL, TUFF_LOG_ERROR, NULL);
    assert_non_null(strstr(warning, "do not go together well"));
    KIT_FAILS(tuff_embedder_check(embedder, kit_path("none.npy")), TUFF_NOT_FOUND, "none.origin.json");
}

static bool stop_late(const tuff_progress *at, void *user)
{
    (void)user;
    return at->done * 3 < at->total;
}

static void an_interrupted_file_goes_on(void **state)
{
    (void)state;
    tuff_buf whole = {0}, resumed = {0};
    write_lines(LINES, "");
    KIT_OK(tuff_embed_file(embedder, input, output, NULL, NULL));
    kit_read_file(output, &whole);
    remove(output);

    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = stop_late;
    tuff_embed_file_params params = TUFF_EMBED_FILE_PARAMS_INIT;
    params.watch = &watch;
    KIT_FAILS(tuff_embed_file(embedder, input, output, &params, NULL), TUFF_CANCELLED,
              "the same call goes on from there");
    assert_true(tuff_is_file(part) && tuff_is_file(progress) && !tuff_is_file(output));
    tuff_embed_file_result result = TUFF_EMBED_FILE_RESULT_INIT;
    KIT_OK(tuff_embed_file(embedder, input, output, NULL, &result));
    assert_int_equal(result.vectors, LINES);
    assert_true(result.resumed > 0 && result.resumed < LINES);
    kit_read_file(output, &resumed);
    assert_int_equal(resumed.size, whole.size);
    assert_memory_equal(resumed.data, whole.data, whole.size);
    KIT_OK(tuff_record_check(output, input, NULL));
    assert_false(tuff_is_file(part) || tuff_is_file(progress));

    /* other settings, other records, a record of progress that is garbage: from the start, with the same
     * result */
    for (int i = 0; i < 4; i++) {
        KIT_FAILS(tuff_embed_file(embedder, input, output, &params, NULL), TUFF_CANCELLED, "");
        tuff_embed_file_params again = TUFF_EMBED_FILE_PARAMS_INIT;
        if (i == 0) again.prompt = "x ";
        if (i == 1) kit_edit_file(input, "the new ship 0", "the new boat 0");
        if (i == 2) kit_write_file(progress, "{", 1);
        again.restart = i == 3;
        KIT_OK(tuff_embed_file(embedder, input, output, &again, &result));
        assert_int_equal(result.resumed, 0);
        assert_int_equal(result.vectors, LINES);
        if (i == 1) write_lines(LINES, "");
        tuff_buf_free(&resumed);
        kit_read_file(output, &resumed);
        if (i > 1) assert_memory_equal(resumed.data, whole.data, whole.size);
    }
    tuff_buf_free(&whole);
    tuff_buf_free(&resumed);
}

typedef struct told {
    int calls;
    uint64_t done;
    bool back; /* it once was further */
} told;

static bool count_calls(const tuff_progress *at, void *user)
{
    told *t = user;
    if (at->phase != TUFF_PHASE_EMBED) return true;
    t->back = t->back || at->done < t->done;
    t->done = at->done;
    t->calls++;
    return true;
}

/* Texts that are computed together are told of one batch after the other. */
static void a_watch_hears_of_every_batch(void **state)
{
    (void)state;
    told heard = {0};
    tuff_watch watch = TUFF_WATCH_INIT;
    tuff_embed_file_params params = TUFF_EMBED_FILE_PARAMS_INIT;
    tuff_embed_file_result result = TUFF_EMBED_FILE_RESULT_INIT;
    tuff_embedder_params few = TUFF_EMBEDDER_PARAMS_INIT;
    tuff_embedder *e = NULL;
    few.batch_tokens = 64;
    KIT_OK(tuff_embedder_create(model, device, &few, &e));
    watch.on_progress = count_calls;
    watch.user = &heard;
    params.watch = &watch;
    write_lines(500, "");
    KIT_OK(tuff_embed_file(e, input, output, &params, &result));
    assert_true(heard.calls > (int)(result.tokens / 64));
    assert_false(heard.back);
    tuff_embedder_destroy(&e);
}

static void a_broken_record_is_named_and_what_came_before_is_kept(void **state)
{
    (void)state;
    char json[512];
    snprintf(json, sizeof json, "%s", kit_path("texts.jsonl"));
    tuff_buf text = {0};
    for (int i = 0; i < 3000; i++)
        tuff_buf_text(&text, i == 2500 ? "{\"text\": \"the ship\"\n" : "{\"text\": \"the ship\"}\n");
    kit_write_file(json, text.data, text.size);
    KIT_FAILS(tuff_embed_file(embedder, json, output, NULL, NULL), TUFF_BAD_FORMAT, "texts.jsonl: line 2501");
    KIT_FAILS(tuff_embed_file(embedder, json, output, NULL, NULL), TUFF_BAD_FORMAT,
              "the 2500 vectors so far are in");
    kit_edit_file(json, "{\"text\": \"the ship\"\n", "{\"text\": \"the ship\"}\n");
    tuff_embed_file_result result = TUFF_EMBED_FILE_RESULT_INIT;
    KIT_OK(tuff_embed_file(embedder, json, output, NULL, &result));
    assert_int_equal(result.resumed, 2500);
    assert_int_equal(result.vectors, 3000);
    tuff_embed_file_params params = TUFF_EMBED_FILE_PARAMS_INIT;
    params.field = "body";
    KIT_FAILS(tuff_embed_file(embedder, json, output, &params, NULL), TUFF_BAD_FORMAT,
              "line 1: its \"body\" is missing");
    assert_false(tuff_is_file(part) || tuff_is_file(progress));
    kit_write_file(json, "", 0);
    KIT_FAILS(tuff_embed_file(embedder, json, output, NULL, NULL), TUFF_INVALID_ARGUMENT, "holds no records");
    assert_false(tuff_is_file(part) || tuff_is_file(progress));
    params.type = TUFF_VECTOR_BINARY;
    tuff_embedder_params seven = TUFF_EMBEDDER_PARAMS_INIT;
    seven.dimensions = 7;
    tuff_embedder *odd = NULL;
    KIT_OK(tuff_embedder_create(model, device, &seven, &odd));
    KIT_FAILS(tuff_embed_file(odd, input, output, &params, NULL), TUFF_INVALID_ARGUMENT,
              "a multiple of 8 is expected");
    tuff_embedder_destroy(&odd);
    tuff_buf_free(&text);
}

/* Where a model puts no tokens around texts. */
static void an_empty_text_without_a_vector_is_named(void **state)
{
    (void)state;
    tuff_model *bare = model_open("gpt2");
    tuff_embedder *e = NULL;
    tuff_embed_file_result result = TUFF_EMBED_FILE_RESULT_INIT;
    KIT_OK(tuff_embedder_create(bare, device, NULL, &e));
    write_lines(3000, "\nlast\n");
    KIT_FAILS(tuff_embed_file(e, input, output, NULL, NULL), TUFF_BAD_FORMAT,
              "texts.txt, line 3001: the text is empty");
    kit_edit_file(input, "\n\nlast", "\n.\nlast");
    KIT_OK(tuff_embed_file(e, input, output, NULL, &result));
    assert_int_equal(result.resumed, 3000);
    assert_int_equal(result.vectors, 3002);
    tuff_embedder_destroy(&e);
    tuff_model_destroy(&bare);
}

/* What is read is not written over. */
static void what_must_stay_is_not_replaced(void **state)
{
    (void)state;
    char link[512];
    tuff_buf before = {0}, after = {0};
    write_lines(3, "");
    kit_read_file(input, &before);
    snprintf(link, sizeof link, "%s", kit_path("link.npy"));
    assert_int_equal(symlink(input, link), 0);
    KIT_FAILS(tuff_embed_file(embedder, input, input, NULL, NULL), TUFF_INVALID_ARGUMENT,
              "is the file that is read");
    KIT_FAILS(tuff_embed_file(embedder, input, link, NULL, NULL), TUFF_INVALID_ARGUMENT,
              "is the file that is read");
    kit_read_file(input, &after);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.data, before.data, before.size);
    tuff_buf_free(&before);
    tuff_buf_free(&after);
}

/* The same embedder but for an adapter, or for its model's weights, has other vectors: none are gone on with.
 */
static void vectors_of_another_model_are_not_gone_on_with(void **state)
{
    (void)state;
    tuff_buf whole = {0}, now = {0};
    tuff_embedder *adapted = NULL;
    tuff_embedder_params with = TUFF_EMBEDDER_PARAMS_INIT;
    tuff_watch watch = TUFF_WATCH_INIT;
    tuff_embed_file_params params = TUFF_EMBED_FILE_PARAMS_INIT;
    tuff_embed_file_result result = TUFF_EMBED_FILE_RESULT_INIT;
    with.adapter = kit_golden("llama/lora");
    watch.on_progress = stop_late;
    params.watch = &watch;
    write_lines(LINES, "");
    KIT_OK(tuff_embed_file(embedder, input, output, NULL, NULL));
    kit_read_file(output, &whole);
    KIT_OK(tuff_embedder_create(model, device, &with, &adapted));
    KIT_FAILS(tuff_embed_file(adapted, input, output, &params, NULL), TUFF_CANCELLED, "goes on from there");
    KIT_OK(tuff_embed_file(embedder, input, output, NULL, &result));
    assert_int_equal(result.resumed, 0);
    kit_read_file(output, &now);
    assert_int_equal(now.size, whole.size);
    assert_memory_equal(now.data, whole.data, whole.size);
    tuff_embedder_destroy(&adapted);
    tuff_buf_free(&whole);
    tuff_buf_free(&now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_a_file_are_those_of_its_lines),
        cmocka_unit_test(vectors_tell_of_which_model_they_are),
        cmocka_unit_test(an_interrupted_file_goes_on),
        cmocka_unit_test(a_broken_record_is_named_and_what_came_before_is_kept),
        cmocka_unit_test(a_watch_hears_of_every_batch),
        cmocka_unit_test(an_empty_text_without_a_vector_is_named),
        cmocka_unit_test(what_must_stay_is_not_replaced),
        cmocka_unit_test(vectors_of_another_model_are_not_gone_on_with),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
