/* Long texts in chunks: where they are cut, that a chunk's vector is its bytes', and the table beside an
 * array of vectors. */
#include <math.h>
#include <string.h>
#include <tuff/embed.h>

#include "base/file.h"
#include "formats/npy.h"
#include "model_fixture.h"

static tuff_device *device;
static tuff_model *model;
static tuff_embedder *embedder;

enum { DIMENSIONS = 16 };

static int set_up(void **state)
{
    (void)state;
    device = kit_cpu();
    const char *directory = kit_copy_model(kit_golden("bert"), "bert");
    kit_copy_file(kit_golden("predict/tokenizer.json"), kit_join(directory, "tokenizer.json"));
    model = model_open(directory);
    KIT_OK(tuff_embedder_create(model, device, NULL, &embedder));
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

/* A letter is a token; two more are put around a text. */
static const char *const texts[] = {"ab cad ponk dim fed", "", "abcdefghijkl", "p. ab, cad",
                                    "\xff\xfe ab \xff cad ponk d"};
enum { TEXTS = sizeof texts / sizeof *texts };

/* However many texts there are, encoding them is one work in bytes of all. */
typedef struct encoding_told {
    uint64_t calls, done, total;
} encoding_told;

static bool take_encoding(const tuff_progress *progress, void *user)
{
    encoding_told *told = user;
    if (progress->phase != TUFF_PHASE_TOKENIZE) return true;
    assert_true(told->calls == 0 || (progress->total == told->total && progress->done > told->done));
    *told = (encoding_told){told->calls + 1, progress->done, progress->total};
    return true;
}

static void encoding_is_told_as_one(void **state)
{
    (void)state;
    enum { MANY = 500 };
    const char *many[MANY];
    float *vectors = tuff_alloc_array((size_t)MANY * DIMENSIONS, sizeof *vectors);
    encoding_told told = {0};
    tuff_watch watch = TUFF_WATCH_INIT;
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    watch.on_progress = take_encoding;
    watch.user = &told;
    params.watch = &watch;
    params.prompt = "ab ";
    for (int i = 0; i < MANY; i++)
        many[i] = "cad";
    KIT_OK(tuff_embed(embedder, many, NULL, MANY, &params, vectors, NULL));
    assert_int_equal(told.total, 6 * MANY);
    assert_int_equal(told.done, told.total);
    assert_true(told.calls > 50 && told.calls <= 200);
    tuff_free(vectors);
}

static void an_empty_text_may_be_null(void **state)
{
    (void)state;
    const char *const maybe[] = {NULL, "", "cad"};
    const size_t sizes[] = {0, 0, 3}, wrong[] = {1, 0, 3};
    float vectors[3][DIMENSIONS];
    KIT_OK(tuff_embed(embedder, maybe, sizes, 3, NULL, vectors[0], NULL));
    assert_memory_equal(vectors[0], vectors[1], sizeof vectors[0]);
    KIT_FAILS(tuff_embed(embedder, maybe, wrong, 3, NULL, vectors[0], NULL), TUFF_INVALID_ARGUMENT,
              "text 0 is NULL, and its size is not 0");
    KIT_FAILS(tuff_embed(embedder, maybe, NULL, 3, NULL, vectors[0], NULL), TUFF_INVALID_ARGUMENT,
              "text 0 is NULL");
    tuff_chunk *chunks = NULL;
    float *of_chunks = NULL;
    size_t count = 0;
    KIT_OK(tuff_embed_chunks(embedder, maybe, sizes, 2, NULL, &chunks, &count, &of_chunks, NULL));
    assert_int_equal(count, 2);
    assert_memory_equal(of_chunks, of_chunks + DIMENSIONS, sizeof vectors[0]);
    tuff_free(chunks);
    tuff_free(of_chunks);
}

static void check_cut(const char *text, int64_t chunk, int64_t overlap, const char *const *want, size_t n)
{
    tuff_chunk_params params = TUFF_CHUNK_PARAMS_INIT;
    tuff_chunk *chunks = NULL;
    float *vectors = NULL;
    size_t count = 0;
    params.chunk = chunk;
    params.overlap = overlap;
    KIT_OK(tuff_embed_chunks(embedder, &text, NULL, 1, &params, &chunks, &count, &vectors, NULL));
    assert_int_equal(count, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(chunks[i].record, 0);
        assert_int_equal(chunks[i].end - chunks[i].begin, strlen(want[i]));
        assert_memory_equal(text + chunks[i].begin, want[i], strlen(want[i]));
    }
    tuff_free(chunks);
    tuff_free(vectors);
}

static void chunks_end_where_words_do(void **state)
{
    (void)state;
    static const char *const shared[] = {"ab cad", "cad ponk", "ponk dim", "dim fed"},
                             *const apart[] = {"ab cad", "ponk dim", "fed"},
                             *const whole[] = {"ab cad ponk dim fed"},
                             *const word[] = {"abcde", "defgh", "ghijk", "jkl"}, *const none[] = {""},
                             *const points[] = {"p. ab,", "cad"};
    check_cut(texts[0], 9, 2, shared, 4);
    check_cut(texts[0], 9, 0, apart, 3);
    check_cut(texts[0], 17, 3, whole, 1);
    check_cut(texts[0], 0, 0, whole, 1);
    check_cut(texts[1], 9, 2, none, 1);
    check_cut(texts[2], 7, 2, word, 4); /* a word that no chunk holds */
    check_cut(texts[3], 7, 0, points, 2);
}

/* With and without a prompt, together and alone. */
static void a_chunk_is_a_text_of_its_own(void **state)
{
    (void)state;
    static const char *const prompts[] = {"", "p: "};
    for (int k = 0; k < 2; k++) {
        tuff_chunk_params params = TUFF_CHUNK_PARAMS_INIT;
        tuff_embed_result result = TUFF_EMBED_RESULT_INIT;
        tuff_chunk *chunks = NULL;
        float *vectors = NULL, alone[DIMENSIONS];
        size_t count = 0;
        params.chunk = 10;
        params.overlap = 2;
        params.prompt = prompts[k];
        KIT_OK(tuff_embed_chunks(embedder, texts, NULL, TEXTS, &params, &chunks, &count, &vectors, &result));
        assert_true(count > 8);
        assert_int_equal(result.truncated, 0);
        assert_true(result.tokens <= 10 * (int64_t)count);
        for (size_t i = 0; i < count; i++) {
            const char *text = texts[chunks[i].record] + chunks[i].begin;
            const size_t size = (size_t)(chunks[i].end - chunks[i].begin);
            tuff_embed_params how = TUFF_EMBED_PARAMS_INIT;
            how.prompt = prompts[k];
            KIT_OK(tuff_embed(embedder, &text, &size, 1, &how, alone, NULL));
            assert_memory_equal(alone, vectors + i * DIMENSIONS, sizeof alone);
            if (i) assert_true(chunks[i].record >= chunks[i - 1].record);
        }
        tuff_free(chunks);
        tuff_free(vectors);
    }
}

static void chunks_without_room_are_refused(void **state)
{
    (void)state;
    static const int64_t wrong[][2] = {{2, 0}, {1, 0}, {21, 0}, {-1, 0}, {5, 3}, {5, -1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tuff_chunk_params params = TUFF_CHUNK_PARAMS_INIT;
        tuff_chunk *chunks = NULL;
        float *vectors = NULL;
        size_t count;
        params.chunk = wrong[i][0];
        params.overlap = wrong[i][1];
        KIT_FAILS(tuff_embed_chunks(embedder, texts, NULL, TEXTS, &params, &chunks, &count, &vectors, NULL),
                  TUFF_INVALID_ARGUMENT, "");
        assert_null(chunks);
        assert_null(vectors);
    }
}

/* The array's rows, freed by the caller. */
static void read_bytes(const char *path, tuff_buf *out)
{
    tuff_buf_free(out);
    kit_read_file(path, out);
}

static bool stop_halfway(const tuff_progress *progress, void *user)
{
    (void)user;
    return progress->phase != TUFF_PHASE_EMBED || 2 * progress->done < progress->total;
}

static void files_have_a_table_of_chunks(void **state)
{
    (void)state;
    const char *input = kit_path("long.txt"), *output = kit_path("long.npy");
    tuff_buf lines = {0}, first = {0}, again = {0}, table = {0};
    for (int i = 0; i < 3000; i++)
        tuff_buf_printf(&lines, "%s", i % 3 ? "ab cad ponk dim fed\n" : "p\n");
    kit_write_file(input, lines.data, lines.size);
    tuff_embed_file_params params = TUFF_EMBED_FILE_PARAMS_INIT;
    tuff_embed_file_result result = TUFF_EMBED_FILE_RESULT_INIT;
    params.chunk = 9;
    params.overlap = 2;
    KIT_OK(tuff_embed_file(embedder, input, output, &params, &result));
    assert_int_equal(result.records, 3000);
    assert_int_equal(result.vectors, 1000 + 4 * 2000);
    read_bytes(output, &first);
    read_bytes(kit_path("long.chunks.npy"), &table);

    tuff_chunk *chunks = NULL;
    size_t count = 0;
    KIT_OK(tuff_chunks_read(output, &chunks, &count));
    assert_int_equal(count, result.vectors);
    assert_int_equal(chunks[0].record, 0);
    assert_int_equal(chunks[0].end, 1);
    assert_int_equal(chunks[2].record, 1);
    assert_int_equal(chunks[2].begin, 3);
    assert_int_equal(chunks[count - 1].record, 2999);
    tuff_free(chunks);

    /* interrupted, the same call goes on to the same bytes */
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = stop_halfway;
    params.watch = &watch;
    const char *other = kit_path("other.npy");
    KIT_FAILS(tuff_embed_file(embedder, input, other, &params, &result), TUFF_CANCELLED,
              "goes on from there");
    params.watch = NULL;
    KIT_OK(tuff_embed_file(embedder, input, other, &params, &result));
    assert_true(result.resumed > 0 && result.resumed < result.vectors);
    read_bytes(other, &again);
    assert_int_equal(again.size, first.size);
    assert_memory_equal(again.data, first.data, first.size);
    read_bytes(kit_path("other.chunks.npy"), &again);
    assert_int_equal(again.size, table.size);
    assert_memory_equal(again.data, table.data, table.size);

    /* an array of whole records has no table */
    params.chunk = params.overlap = 0;
    KIT_OK(tuff_embed_file(embedder, input, output, &params, &result));
    assert_int_equal(result.vectors, 3000);
    KIT_FAILS(tuff_chunks_read(output, &chunks, &count), TUFF_NOT_FOUND, "long.chunks.npy");
    kit_write_file(kit_path("long.chunks.npy"), first.data, first.size);
    KIT_FAILS(tuff_chunks_read(output, &chunks, &count), TUFF_BAD_FORMAT, "[chunks, 3]");
    params.overlap = 3;
    KIT_FAILS(tuff_embed_file(embedder, input, output, &params, &result), TUFF_INVALID_ARGUMENT, "overlap 3");
    tuff_buf_free(&lines);
    tuff_buf_free(&first);
    tuff_buf_free(&again);
    tuff_buf_free(&table);
}

/* ---- a vector per token */

static tuff_embedder *apart_of(tuff_normalize normalize)
{
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    tuff_embedder *e = NULL;
    params.pooling = TUFF_POOLING_NONE;
    params.normalize = normalize;
    params.batch_tokens = 1024;
    KIT_OK(tuff_embedder_create(model, device, &params, &e));
    return e;
}

/* Their mean is what an embedder gives that pools so; alone and together they are the same. */
static void tokens_have_vectors_of_their_own(void **state)
{
    (void)state;
    tuff_embedder *apart = apart_of(TUFF_NORMALIZE_MODEL);
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    tuff_embedder *mean = NULL;
    params.normalize = TUFF_NORMALIZE_NO;
    KIT_OK(tuff_embedder_create(model, device, &params, &mean));
    size_t counts[TEXTS], one;
    float *all = NULL, *alone = NULL, want[TEXTS * DIMENSIONS];
    KIT_OK(tuff_embed_tokens(apart, texts, NULL, TEXTS, NULL, counts, &all, NULL));
    KIT_OK(tuff_embed(mean, texts, NULL, TEXTS, NULL, want, NULL));
    const float *at = all;
    for (size_t i = 0; i < TEXTS; i++) {
        KIT_OK(tuff_embed_tokens(apart, texts + i, NULL, 1, NULL, &one, &alone, NULL));
        assert_int_equal(one, counts[i]);
        assert_memory_equal(alone, at, one * DIMENSIONS * sizeof *at);
        tuff_free(alone);
        for (size_t k = 0; k < DIMENSIONS; k++) {
            double sum = 0;
            for (size_t t = 0; t < one; t++)
                sum += (double)at[t * DIMENSIONS + k];
            assert_true(fabs(sum / (double)one - (double)want[i * DIMENSIONS + k]) < 1e-6);
        }
        at += one * DIMENSIONS;
    }
    assert_int_equal(counts[0], 17);
    assert_int_equal(counts[1], 2);
    tuff_free(all);
    KIT_FAILS(tuff_embed(apart, texts, NULL, 1, NULL, want, NULL), TUFF_INVALID_ARGUMENT,
              "the embedder gives a vector per token");
    KIT_FAILS(tuff_embed_tokens(mean, texts, NULL, 1, NULL, counts, &all, NULL), TUFF_INVALID_ARGUMENT,
              "given by an embedder of TUFF_POOLING_NONE");
    assert_null(all);
    tuff_embedder_destroy(&apart);
    tuff_embedder_destroy(&mean);

    apart = apart_of(TUFF_NORMALIZE_YES);
    KIT_OK(tuff_embed_tokens(apart, texts, NULL, 1, NULL, counts, &all, NULL));
    for (size_t t = 0; t < counts[0]; t++) {
        double squares = 0;
        for (size_t k = 0; k < DIMENSIONS; k++)
            squares += (double)all[t * DIMENSIONS + k] * (double)all[t * DIMENSIONS + k];
        assert_true(fabs(squares - 1) < 1e-5);
    }
    tuff_free(all);
    tuff_embedder_destroy(&apart);
}

static void files_of_tokens_have_offsets(void **state)
{
    (void)state;
    enum { RECORDS = 2500 };
    const char *input = kit_path("tokens.txt"), *output = kit_path("tokens.npy");
    tuff_buf lines = {0}, first = {0}, again = {0}, table = {0};
    for (int i = 0; i < RECORDS; i++)
        tuff_buf_printf(&lines, "%s", i % 2 ? "ab cad\n" : "p\n");
    kit_write_file(input, lines.data, lines.size);
    tuff_embedder *apart = apart_of(TUFF_NORMALIZE_MODEL);
    tuff_embed_file_params params = TUFF_EMBED_FILE_PARAMS_INIT;
    tuff_embed_file_result result = TUFF_EMBED_FILE_RESULT_INIT;
    KIT_OK(tuff_embed_file(apart, input, output, &params, &result));
    assert_int_equal(result.records, RECORDS);
    assert_int_equal(result.vectors, RECORDS / 2 * (3 + 7));
    read_bytes(output, &first);
    read_bytes(kit_path("tokens.offsets.npy"), &table);
    tuff_npy array;
    KIT_OK(tuff_npy_parse((const uint8_t *)table.data, table.size, "offsets", &array));
    assert_string_equal(array.type, "<i8");
    assert_int_equal(array.rank, 1);
    assert_int_equal(array.shape[0], RECORDS + 1);
    for (int64_t i = 0; i <= RECORDS; i++) {
        int64_t offset;
        memcpy(&offset, array.data + 8 * i, sizeof offset);
        assert_int_equal(offset, i / 2 * 10 + i % 2 * 3);
    }
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = stop_halfway;
    params.watch = &watch;
    const char *other = kit_path("resumed.npy");
    KIT_FAILS(tuff_embed_file(apart, input, other, &params, &result), TUFF_CANCELLED, "goes on from there");
    params.watch = NULL;
    KIT_OK(tuff_embed_file(apart, input, other, &params, &result));
    assert_true(result.resumed > 0 && result.resumed < result.vectors);
    read_bytes(other, &again);
    assert_int_equal(again.size, first.size);
    assert_memory_equal(again.data, first.data, first.size);
    read_bytes(kit_path("resumed.offsets.npy"), &again);
    assert_int_equal(again.size, table.size);
    assert_memory_equal(again.data, table.data, table.size);
    params.chunk = 9;
    KIT_FAILS(tuff_embed_file(apart, input, output, &params, &result), TUFF_INVALID_ARGUMENT,
              "give one of both");
    tuff_embedder_destroy(&apart);
    tuff_buf_free(&lines);
    tuff_buf_free(&first);
    tuff_buf_free(&again);
    tuff_buf_free(&table);
}

static tuff_status one_call(void *user)
{
    tuff_chunk_params params = TUFF_CHUNK_PARAMS_INIT;
    tuff_chunk *chunks = NULL;
    float *vectors = NULL;
    size_t count;
    (void)user;
    params.chunk = 9;
    tuff_status status =
        tuff_embed_chunks(embedder, texts, NULL, TEXTS, &params, &chunks, &count, &vectors, NULL);
    tuff_free(chunks);
    tuff_free(vectors);
    return status;
}

static void failing_allocations_are_errors(void **state)
{
    (void)state;
    model_fail_some_allocations(one_call, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_end_where_words_do),        cmocka_unit_test(a_chunk_is_a_text_of_its_own),
        cmocka_unit_test(chunks_without_room_are_refused),  cmocka_unit_test(files_have_a_table_of_chunks),
        cmocka_unit_test(tokens_have_vectors_of_their_own), cmocka_unit_test(files_of_tokens_have_offsets),
        cmocka_unit_test(failing_allocations_are_errors),   cmocka_unit_test(encoding_is_told_as_one),
        cmocka_unit_test(an_empty_text_may_be_null),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
