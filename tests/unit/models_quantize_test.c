/* Models written by the block, and read again. */
#include <math.h>
#include <tuff/generate.h>

#include "base/rng.h"
#include "kit/blocks_model.h"
#include "model_fixture.h"
#include "models/mix.h"
#include "models/model.h"

typedef struct made {
    tuff_save_item items[KIT_WIDE_TENSORS];
    float large; /* one number, if not 0 */
} made;

static tuff_status give(void *user, size_t index, tuff_sink *sink)
{
    const made *m = user;
    static float values[KIT_WIDE_FFN * KIT_WIDE_WIDTH];
    const tuff_save_item *item = &m->items[index];
    const size_t n = (size_t)item->shape[0] * (item->rank > 1 ? (size_t)item->shape[1] : 1);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(0.05 * tuff_rng_normal(3, i, (uint32_t)index, 0) + (item->rank == 1));
    if (index == 7 && m->large != 0) values[3] = m->large;
    return tuff_sink_write(sink, values, n * sizeof *values);
}

/* With as many key/value heads as others. */
static const char *make(const char *name, float large)
{
    const char *path = kit_path(name);
    made m = {.large = large};
    kit_wide_save(path, m.items, kit_wide_items(4, true, m.items), give, &m);
    return path;
}

static tuff_status save(const tuff_model *model, const char *type, uint32_t flags, const char *path)
{
    tuff_save_params params = TUFF_SAVE_PARAMS_INIT;
    params.format = TUFF_FORMAT_GGUF;
    params.type = type;
    params.flags = flags;
    return tuff_model_save_with(model, &params, path);
}

/* The root of the mean squared difference of a parameter, as a share of its numbers. */
static double difference(const tuff_model *a, const tuff_model *b, size_t i)
{
    const tuff_param *p = &a->params.items[i], *q = tuff_params_find(&b->params, p->name);
    assert_non_null(q);
    const size_t n = (size_t)tuff_param_elements(p);
    float *x = tuff_alloc_array(n, sizeof *x), *y = tuff_alloc_array(n, sizeof *y);
    double error = 0, all = 0;
    KIT_OK(tuff_model_read(a, p, NULL, 0, tuff_param_rows(p), x));
    KIT_OK(tuff_model_read(b, q, NULL, 0, tuff_param_rows(p), y));
    for (size_t k = 0; k < n; k++) {
        error += ((double)x[k] - (double)y[k]) * ((double)x[k] - (double)y[k]);
        all += (double)x[k] * (double)x[k];
    }
    tuff_free(x);
    tuff_free(y);
    return sqrt(error / all);
}

/* Of normal numbers. */
static double bound_of(tuff_storage storage)
{
    static const struct {
        tuff_storage storage;
        double bound;
    } bounds[] = {{TUFF_STORE_F32, 0},      {TUFF_STORE_F16, 0.0003}, {TUFF_STORE_BF16, 0.003},
                  {TUFF_STORE_Q8_0, 0.006}, {TUFF_STORE_Q6_K, 0.018}, {TUFF_STORE_Q5_K, 0.036},
                  {TUFF_STORE_Q5_0, 0.046}, {TUFF_STORE_Q5_1, 0.041}, {TUFF_STORE_Q4_K, 0.073},
                  {TUFF_STORE_Q4_0, 0.092}, {TUFF_STORE_Q4_1, 0.083}, {TUFF_STORE_IQ4_NL, 0.078},
                  {TUFF_STORE_Q3_K, 0.151}, {TUFF_STORE_Q2_K, 0.27}};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (bounds[i].storage == storage) return bounds[i].bound;
    fail_msg("no bound for %s", tuff_storage_get(storage)->name);
    return 0;
}

static void test_every_type(void **state)
{
    (void)state;
    static const unsigned file_types[] = {0,  1,  32, 7, 18, 17, 16, 15, 14, 13,
                                          12, 11, 10, 9, 8,  3,  2,  25, 38};
    tuff_model *model = model_open(make("wide.gguf", 0));
    const char *path = kit_path("typed.gguf");
    size_t types = 0;
    for (const char *type; (type = tuff_save_type(types)); types++) {
        KIT_OK(save(model, type, 0, path));
        tuff_model *back = model_open(path);
        tuff_save_item items[KIT_WIDE_TENSORS];
        int64_t number = -1, version = 0;
        const size_t count = kit_wide_items(4, true, items);
        tuff_mix_apply((tuff_mix)types, &model->config, false, items, count);
        for (size_t i = 0; i < back->params.count; i++) {
            const tuff_weight *w = tuff_model_weight(back, &back->params.items[i]);
            for (size_t k = 0; k < count; k++)
                if (strcmp(items[k].name, w->name) == 0) assert_int_equal(w->storage, items[k].storage);
            const double found = difference(model, back, i);
            if (found > bound_of(w->storage) || (found == 0) != (w->storage == TUFF_STORE_F32))
                fail_msg("%s: %s as %s: off by %.5f", type, w->name, tuff_weight_type(w), found);
        }
        KIT_OK(tuff_gguf_int(back->gguf, "general.file_type", &number));
        KIT_OK(tuff_gguf_int(back->gguf, "general.quantization_version", &version));
        assert_int_equal(number, file_types[types]);
        assert_int_equal(version, types < 3 ? 0 : 2);
        tuff_model_destroy(&back);
    }
    assert_int_equal(types, sizeof file_types / sizeof *file_types);
    tuff_model_destroy(&model);
}

/* What a model takes on a device is what its file's tensors take, and is known before. */
static void test_bytes(void **state)
{
    (void)state;
    tuff_model *model = model_open(make("wide.gguf", 0));
    tuff_device *device = kit_cpu();
    const char *path = kit_path("sized.gguf"), *type;
    for (size_t i = 0; (type = tuff_save_type(i)); i++) {
        KIT_OK(save(model, type, 0, path));
        tuff_model *typed = model_open(path);
        tuff_model_info info = TUFF_MODEL_INFO_INIT;
        tuff_generate_memory begun = TUFF_GENERATE_MEMORY_INIT, ran = TUFF_GENERATE_MEMORY_INIT;
        tuff_generator *generator = NULL;
        const uint64_t before = kit_device_stats(device).bytes;
        uint64_t file = 0;
        float logits[KIT_BLOCKS_WORDS];
        for (size_t k = 0; k < typed->gguf->weights->count; k++)
            file += typed->gguf->weights->items[k].bytes;
        KIT_OK(tuff_model_get_info(typed, &info));
        KIT_OK(tuff_generator_create(typed, device, NULL, &generator));
        KIT_OK(tuff_generator_get_memory(generator, &begun));
        assert_int_equal(begun.weights, info.weight_bytes);
        assert_int_equal(begun.weights, file);
        assert_int_equal(begun.total, begun.weights);
        assert_int_equal(kit_device_stats(device).bytes - before, begun.total);
        KIT_OK(tuff_generator_logits(generator, (const int32_t[]){1, 2, 3}, 3, logits));
        KIT_OK(tuff_generator_get_memory(generator, &ran));
        assert_int_equal(ran.weights, begun.weights);
        assert_true(ran.cache > 0 && ran.arena > 0 && ran.transfers > 0);
        assert_int_equal(ran.total, ran.weights + ran.cache + ran.arena + ran.transfers);
        const uint64_t taken = kit_device_stats(device).bytes - before;
        assert_true(taken <= ran.total && taken >= ran.total - ran.transfers);
        tuff_generator_destroy(&generator);
        tuff_model_destroy(&typed);
    }
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
}

/* Rows change their order on the way; each must still be what it was. */
static void test_orders_of_rows(void **state)
{
    (void)state;
    const char *const names[] = {"llama", "gpt2", "qwen2",      "gemma2", "gpt_neox",
                                 "phi3",  "bert", "nomic_bert", "mixtral"};
    for (size_t m = 0; m < sizeof names / sizeof *names; m++) {
        tuff_model *model = model_open(names[m]);
        const char *path = kit_path("ordered.gguf");
        KIT_OK(save(model, "q8_0", 0, path));
        tuff_model *back = model_open(path);
        for (size_t i = 0; i < model->params.count; i++) {
            const double found = difference(model, back, i);
            if (found > 0.008) fail_msg("%s: %s: off by %.5f", names[m], model->params.items[i].name, found);
        }
        tuff_model_destroy(&back);
        tuff_model_destroy(&model);
    }
}

static void test_quantized_again(void **state)
{
    (void)state;
    tuff_model *model = model_open(make("wide.gguf", 0));
    const char *q8 = kit_path("q8.gguf"), *q4 = kit_path("q4.gguf"), *again = kit_path("again.gguf");
    KIT_OK(save(model, "q8_0", 0, q8));
    tuff_model *from = model_open(q8);
    const int entries = kit_count_entries(kit_temp_directory());
    KIT_FAILS(save(from, "q4_k_m", 0, q4), TUFF_UNSUPPORTED, "is quantized already, as Q8_0; as Q4_K");
    assert_int_equal(kit_count_entries(kit_temp_directory()), entries);
    KIT_OK(save(from, "f32", 0, again)); /* is not to quantize */
    KIT_OK(save(from, "q4_k_m", TUFF_SAVE_REQUANTIZE, q4));
    tuff_model *less = model_open(q4);
    assert_true(difference(model, less, 0) > 0.06);
    KIT_OK(save(less, "q4_k_m", 0, again)); /* the same types: the same blocks */
    tuff_model *same = model_open(again);
    for (size_t i = 0; i < less->gguf->weights->count; i++) {
        const tuff_weight *a = &less->gguf->weights->items[i];
        assert_true(tuff_weight_is_copy(a, tuff_weights_find(same->gguf->weights, a->name)));
    }
    tuff_model_destroy(&same);
    tuff_model_destroy(&less);
    tuff_model_destroy(&from);
    tuff_model_destroy(&model);
}

/* One file may become another of its kind; weights of a model in several files stay. */
static void test_sources_stay(void **state)
{
    (void)state;
    const char *q8 = kit_path("in_place.gguf"), *directory = kit_copy_model(kit_golden("llama"), "sources");
    tuff_model *model = model_open(directory);
    KIT_FAILS(save(model, "q8_0", 0, kit_join(directory, "model.safetensors")), TUFF_INVALID_ARGUMENT,
              "holds weights of the model that is read");
    KIT_OK(save(model, "q8_0", 0, q8));
    tuff_model_destroy(&model);
    model = model_open(directory);
    tuff_model_destroy(&model);
    model = model_open(q8);
    KIT_OK(save(model, "f16", 0, q8));
    tuff_model_destroy(&model);
    model = model_open(q8);
    tuff_model_destroy(&model);
}

static void test_refusals(void **state)
{
    (void)state;
    tuff_model *model = model_open(make("large.gguf", 1e7f));
    const char *path = kit_path("refused.gguf");
    const int entries = kit_count_entries(kit_temp_directory());
    KIT_FAILS(save(model, "q4_k", 0, path), TUFF_INVALID_ARGUMENT, "cannot be written as 'q4_k'");
    KIT_FAILS(save(model, "q4_0", 8, path), TUFF_INVALID_ARGUMENT, "flags 0x8");
    KIT_FAILS(save(model, "q4_0", 0, path), TUFF_NOT_FINITE,
              "'blk.0.ffn_gate.weight' has numbers that are too large for Q4_0");
    KIT_FAILS(save(model, "f16", 0, path), TUFF_NOT_FINITE, "too large for F16");
    KIT_OK(save(model, "bf16", 0, path));
    tuff_save_params params = TUFF_SAVE_PARAMS_INIT;
    params.type = "q4_k_m";
    KIT_FAILS(tuff_model_save_with(model, &params, path), TUFF_INVALID_ARGUMENT, "write it as gguf");
    params.threads = 5000;
    KIT_FAILS(tuff_model_save_with(model, &params, path), TUFF_INVALID_ARGUMENT, "5000 threads");
    params.format = (tuff_file_format)7;
    KIT_FAILS(tuff_model_save_with(model, &params, path), TUFF_INVALID_ARGUMENT, "no file format 7");
    assert_int_equal(kit_count_entries(kit_temp_directory()), entries + 1);
    tuff_model_destroy(&model);
}

/* It is asked again within each matrix, and leaves nothing. */
static bool stop_halfway(const tuff_progress *progress, void *user)
{
    (void)user;
    assert_int_equal(progress->phase, TUFF_PHASE_SAVE);
    return progress->done < progress->total / 2;
}

static void test_stopped(void **state)
{
    (void)state;
    tuff_model *model = model_open(make("wide.gguf", 0));
    tuff_watch watch = TUFF_WATCH_INIT;
    tuff_save_params params = TUFF_SAVE_PARAMS_INIT;
    const int entries = kit_count_entries(kit_temp_directory());
    watch.on_progress = stop_halfway;
    params.format = TUFF_FORMAT_GGUF;
    params.type = "q4_k_s";
    params.watch = &watch;
    KIT_FAILS(tuff_model_save_with(model, &params, kit_path("stopped.gguf")), TUFF_CANCELLED, "saving");
    assert_int_equal(kit_count_entries(kit_temp_directory()), entries);
    tuff_model_destroy(&model);
}

static tuff_status save_some(void *user)
{
    return save(user, "q4_0", 0, kit_path("some.gguf"));
}

static void test_without_memory(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    model_fail_some_allocations(save_some, model);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),     cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_orders_of_rows), cmocka_unit_test(test_quantized_again),
        cmocka_unit_test(test_sources_stay),   cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_stopped),        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
