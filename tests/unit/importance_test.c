/* Which weights matter, by a text. */
#include <math.h>
#include <tuff/importance.h>

#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "model_fixture.h"
#include "models/importance.h"
#include "models/model.h"

static tuff_model *model;
static tuff_device *device;
static const char text[] =
    "The cat sat on a mat. A dog ran. The sun is hot, and the old man sat on a log. Who ran?";

static int setup(void **state)
{
    (void)state;
    model = model_open("llama");
    device = kit_cpu();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
    return 0;
}

static tuff_importance *observe_model(const tuff_model *of, int64_t context)
{
    tuff_importance_params params = TUFF_IMPORTANCE_PARAMS_INIT;
    tuff_importance *importance = NULL;
    params.context = context;
    KIT_OK(tuff_importance_create(of, device, text, sizeof text - 1, &params, &importance));
    return importance;
}

static tuff_importance *observe(int64_t context)
{
    return observe_model(model, context);
}

static const tuff_importance_item *item_of(const tuff_importance *importance, const char *name)
{
    uint32_t i;
    if (!tuff_map_get(&importance->by_name, name, strlen(name), &i)) fail_msg("nothing of %s", name);
    return &importance->items[i];
}

static void read_param(const char *name, float *out)
{
    const tuff_param *p = tuff_params_find(&model->params, name);
    assert_non_null(p);
    KIT_OK(tuff_model_read(model, p, NULL, 0, p->shape[0], out));
}

/* What the first layer's queries, keys and values are given is known without running the model: the tokens'
 * rows, normed. */
static void test_first_layer(void **state)
{
    (void)state;
    enum { WIDTH = 32 };
    const size_t vocab = (size_t)model->config.vocab_size;
    const tuff_tokenizer *tokenizer;
    const size_t room = 24;
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    tuff_encoding *encoding = NULL;
    float *table = malloc(vocab * WIDTH * sizeof *table), norm[WIDTH];
    double want[WIDTH] = {0};
    unsigned windows = 0;
    assert_int_equal(model->config.hidden_size, WIDTH);
    read_param("model.embed_tokens.weight", table);
    read_param("model.layers.0.input_layernorm.weight", norm);
    KIT_OK(tuff_model_get_tokenizer(model, &tokenizer));
    params.max_length = (uint32_t)room;
    params.truncation = TUFF_TRUNCATE_ONLY_FIRST;
    params.windows = true;
    KIT_OK(tuff_tokenizer_encode_pair(tokenizer, (tuff_piece){text, sizeof text - 1}, (tuff_piece){NULL, 0},
                                      &params, &encoding));
    for (const tuff_encoding *e = encoding; e; e = e->next, windows++)
        for (size_t t = 0; t < e->count; t++) {
            const float *row = table + (size_t)e->ids[t] * WIDTH;
            double mean = 0;
            for (int k = 0; k < WIDTH; k++)
                mean += (double)row[k] * (double)row[k] / WIDTH;
            for (int k = 0; k < WIDTH; k++)
                want[k] += pow((double)row[k] * (double)norm[k], 2) / (mean + model->config.norm_eps);
        }
    assert_true(windows > 1);
    tuff_encoding_destroy(&encoding);
    tuff_importance *found = observe((int64_t)room);
    const char *const names[] = {"q_proj", "k_proj", "v_proj"};
    for (int n = 0; n < 3; n++) {
        char name[64];
        snprintf(name, sizeof name, "model.layers.0.self_attn.%s.weight", names[n]);
        const tuff_importance_item *item = item_of(found, name);
        assert_int_equal(item->columns, WIDTH);
        for (int k = 0; k < WIDTH; k++)
            if (fabs(item->sums[k] - want[k]) > 1e-4 * want[k] + 1e-6)
                fail_msg("%s, column %d: %.9g, expected %.9g", names[n], k, item->sums[k], want[k]);
    }
    /* each linear layer, and neither the table nor the norms */
    assert_int_equal(found->count, 7 * (size_t)model->config.layers);
    tuff_importance_destroy(&found);
    free(table);
}

/* The weighted error of a matrix gets smaller by it, and its types follow it. */
static void test_saving(void **state)
{
    (void)state;
    const char *name = "model.layers.0.mlp.up_proj.weight";
    tuff_importance *importance = observe(0);
    const tuff_importance_item *item = item_of(importance, name);
    const tuff_param *p = tuff_params_find(&model->params, name);
    const size_t rows = (size_t)p->shape[0], columns = (size_t)p->shape[1];
    float *whole = malloc(rows * columns * sizeof *whole), *back = malloc(rows * columns * sizeof *back);
    double errors[2] = {0};
    read_param(name, whole);
    for (int i = 0; i < 2; i++) {
        tuff_save_params params = TUFF_SAVE_PARAMS_INIT;
        const char *path = kit_path(i ? "with.gguf" : "without.gguf");
        params.format = TUFF_FORMAT_GGUF;
        params.type = "iq4_nl";
        params.importance = i ? importance : NULL;
        KIT_OK(tuff_model_save_with(model, &params, path));
        tuff_model *saved = model_open(path);
        KIT_OK(tuff_model_read(saved, tuff_params_find(&saved->params, name), NULL, 0, (int64_t)rows, back));
        for (size_t k = 0; k < rows * columns; k++)
            errors[i] += item->sums[k % columns] * pow((double)whole[k] - (double)back[k], 2);
        tuff_model_destroy(&saved);
    }
    if (!(errors[1] < 0.98 * errors[0]))
        fail_msg("%.6g with importances, %.6g without", errors[1], errors[0]);
    tuff_importance_destroy(&importance);
    free(whole);
    free(back);
}

/* ---- experts ---- */

#define MOE "model.layers.1.block_sparse_moe."
enum { EXPERTS = 5, USED = 2, STATES = 32, WIDTH_OF_EXPERTS = 40 };

typedef struct copying {
    const tuff_weights *from;
    const tuff_save_item *items;
} copying;

static tuff_status give_without_routers(void *user, size_t index, tuff_sink *sink)
{
    const copying *c = user;
    const tuff_weight *w = tuff_weights_find(c->from, c->items[index].name);
    static const float zeros[EXPERTS * STATES];
    const bool router = tuff_ends_with(w->name, "block_sparse_moe.gate.weight");
    if (router) assert_int_equal(w->bytes, sizeof zeros);
    return tuff_sink_write(sink, router ? (const void *)zeros : kit_stored(w), w->bytes);
}

/* A Mixtral whose routers find all experts alike: each token uses the first two. */
static tuff_model *undecided(void)
{
    enum { MOST = 80 };
    tuff_save_item items[MOST] = {{0}};
    tuff_weights *from = NULL;
    const char *directory = kit_copy_model(kit_golden("mixtral"), "undecided");
    KIT_OK(tuff_safetensors_open(kit_join(kit_golden("mixtral"), "model.safetensors"), &from));
    assert_true(from->count <= MOST);
    for (size_t i = 0; i < from->count; i++) {
        const tuff_weight *w = &from->items[i];
        items[i] = (tuff_save_item){.name = w->name, .storage = w->storage, .rank = w->rank};
        memcpy(items[i].shape, w->shape, sizeof w->shape);
    }
    KIT_OK(tuff_safetensors_save(kit_join(directory, "model.safetensors"), items, from->count,
                                 give_without_routers, &(copying){from, items}));
    tuff_weights_destroy(&from);
    return model_open(directory);
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-4 * fabs(b) + 1e-6;
}

/* Each expert counts the tokens that it is given; what the router is given, all of them are, so often as a
 * token uses experts. */
static void test_experts(void **state)
{
    (void)state;
    for (int alike = 0; alike < 2; alike++) {
        tuff_model *mixtral = alike ? undecided() : model_open("mixtral");
        tuff_importance *found = observe_model(mixtral, 24);
        const tuff_importance_item *router = item_of(found, MOE "gate.weight"),
                                   *gate = item_of(found, MOE "experts.*.w1.weight"),
                                   *up = item_of(found, MOE "experts.*.w3.weight"),
                                   *down = item_of(found, MOE "experts.*.w2.weight");
        assert_true(router->matrices == 1 && gate->matrices == EXPERTS && down->matrices == EXPERTS);
        assert_true(gate->columns == STATES && down->columns == WIDTH_OF_EXPERTS);
        assert_memory_equal(gate->sums, up->sums, sizeof(double) * EXPERTS * STATES);
        int idle = 0;
        for (int k = 0; k < STATES; k++) {
            double all = 0;
            for (int e = 0; e < EXPERTS; e++)
                all += gate->sums[e * STATES + k];
            assert_true(near(all, USED * router->sums[k]));
            for (int e = 0; e < EXPERTS && alike; e++)
                assert_true(near(gate->sums[e * STATES + k], e < USED ? router->sums[k] : 0));
        }
        for (int e = 0; e < EXPERTS; e++) {
            double of_gate = 0, of_down = 0;
            for (int k = 0; k < STATES; k++)
                of_gate += gate->sums[e * STATES + k];
            for (int k = 0; k < WIDTH_OF_EXPERTS; k++)
                of_down += down->sums[e * WIDTH_OF_EXPERTS + k];
            assert_true((of_gate > 0) == (of_down > 0));
            idle += of_gate == 0;
        }
        assert_int_equal(idle, alike ? EXPERTS - USED : 0);
        float *weights = NULL;
        KIT_OK(tuff_importance_weights(found, MOE "experts.*.w1.weight", EXPERTS, STATES, &weights));
        for (int k = 0; k < STATES && alike; k++)
            assert_true(weights[(EXPERTS - 1) * STATES + k] == 1);
        tuff_free(weights);
        tuff_importance_destroy(&found);
        tuff_model_destroy(&mixtral);
    }
}

/* Of each expert the error that counts is smaller by its own importances. */
static void test_saving_experts(void **state)
{
    (void)state;
    const char *name = MOE "experts.*.w1.weight";
    tuff_model *mixtral = model_open("mixtral");
    tuff_importance *found = observe_model(mixtral, 0);
    const tuff_importance_item *item = item_of(found, name);
    const int64_t rows = EXPERTS * WIDTH_OF_EXPERTS, each = WIDTH_OF_EXPERTS * STATES;
    static float whole[EXPERTS * WIDTH_OF_EXPERTS * STATES], back[EXPERTS * WIDTH_OF_EXPERTS * STATES];
    double errors[EXPERTS][2] = {{0}};
    KIT_OK(tuff_model_read(mixtral, tuff_params_find(&mixtral->params, name), NULL, 0, rows, whole));
    for (int i = 0; i < 2; i++) {
        tuff_save_params params = TUFF_SAVE_PARAMS_INIT;
        const char *path = kit_path(i ? "experts-with.gguf" : "experts-without.gguf");
        params.format = TUFF_FORMAT_GGUF;
        params.type = "iq4_nl";
        params.importance = i ? found : NULL;
        KIT_OK(tuff_model_save_with(mixtral, &params, path));
        tuff_model *saved = model_open(path);
        KIT_OK(tuff_model_read(saved, tuff_params_find(&saved->params, name), NULL, 0, rows, back));
        for (int64_t k = 0; k < rows * STATES; k++)
            errors[k / each][i] +=
                item->sums[k / each * STATES + k % STATES] * pow((double)whole[k] - (double)back[k], 2);
        tuff_model_destroy(&saved);
    }
    for (int e = 0; e < EXPERTS; e++)
        if (!(errors[e][1] < 0.98 * errors[e][0]))
            fail_msg("expert %d: %.6g with importances, %.6g without", e, errors[e][1], errors[e][0]);
    tuff_importance_destroy(&found);
    tuff_model_destroy(&mixtral);
}

static void test_refusals(void **state)
{
    (void)state;
    tuff_importance *importance;
    float *weights = NULL;
    KIT_FAILS(tuff_importance_create(model, device, "", 0, NULL, &importance), TUFF_INVALID_ARGUMENT,
              "no token");
    assert_null(importance);
    tuff_importance_params params = TUFF_IMPORTANCE_PARAMS_INIT;
    params.context = 1;
    KIT_FAILS(tuff_importance_create(model, device, text, 5, &params, &importance), TUFF_INVALID_ARGUMENT,
              "1 tokens, expected 2");
    importance = observe(0);
    KIT_FAILS(tuff_importance_weights(importance, "model.layers.0.self_attn.q_proj.weight", 1, 64, &weights),
              TUFF_INVALID_ARGUMENT, "another model's");
    KIT_FAILS(tuff_importance_weights(importance, "model.layers.0.self_attn.q_proj.weight", 2, 32, &weights),
              TUFF_INVALID_ARGUMENT, "has 2 x 32 columns, theirs 1 x 32");
    KIT_OK(tuff_importance_weights(importance, "model.norm.weight", 1, 64, &weights));
    assert_null(weights);
    tuff_importance_destroy(&importance);
}

static tuff_status create(void *user)
{
    tuff_importance *importance;
    (void)user;
    TUFF_TRY(tuff_importance_create(model, device, text, 20, NULL, &importance));
    tuff_importance_destroy(&importance);
    return TUFF_OK;
}

static void test_without_memory(void **state)
{
    (void)state;
    model_fail_some_allocations(create, NULL);
}

static void encoder_decoders_are_refused(void **state)
{
    (void)state;
    tuff_model *t5 = model_open("t5");
    tuff_importance *importance = NULL;
    KIT_FAILS(tuff_importance_create(t5, device, text, sizeof text - 1, NULL, &importance), TUFF_UNSUPPORTED,
              "quantize it without a text for importances");
    assert_null(importance);
    tuff_model_destroy(&t5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoder_decoders_are_refused),
        cmocka_unit_test(test_first_layer),
        cmocka_unit_test(test_saving),
        cmocka_unit_test(test_experts),
        cmocka_unit_test(test_saving_experts),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
