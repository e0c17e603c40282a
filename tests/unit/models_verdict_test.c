/* What a file holds is what runs, or it is refused: heads beside tied tables, keys that change the
 * mathematics, tensors that no part of the model reads. */
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "model_fixture.h"
#include "models/model.h"

static void refused(const char *path, tuff_status status, const char *part)
{
    tuff_model *model = NULL;
    KIT_FAILS(tuff_model_load(path, &model), status, part);
    assert_null(model);
}

/* The tensors of a file and one more, which holds 0.5, 1.5, 2.5, ... */
typedef struct more {
    const tuff_weights *from;
    int64_t n;
} more;

static tuff_status write_more(void *user, size_t index, tuff_sink *sink)
{
    const more *m = user;
    if (index < m->from->count)
        return tuff_sink_write(sink, m->from->items[index].data, m->from->items[index].bytes);
    for (int64_t i = 0; i < m->n; i++) {
        float value = (float)(i % 97) + 0.5f;
        TUFF_TRY(tuff_sink_write(sink, &value, sizeof value));
    }
    return TUFF_OK;
}

enum { MOST = 128 };

static size_t list_more(const tuff_weights *from, const char *name, int64_t rows, int64_t columns,
                        tuff_save_item items[MOST])
{
    assert_true(from->count < MOST);
    for (size_t i = 0; i < from->count; i++) {
        const tuff_weight *w = &from->items[i];
        items[i] = (tuff_save_item){.name = w->name, .dtype = TUFF_F32, .rank = w->rank};
        memcpy(items[i].shape, w->shape, sizeof w->shape);
    }
    items[from->count] =
        (tuff_save_item){.name = name, .dtype = TUFF_F32, .rank = 2, .shape = {rows, columns, 1, 1}};
    return from->count + 1;
}

/* A copy of a golden model that holds one tensor more. */
static const char *with_tensor(const char *golden, const char *as, const char *name, int64_t rows,
                               int64_t columns)
{
    const char *directory = kit_copy_model(kit_golden(golden), as);
    tuff_weights *from = NULL;
    tuff_save_item items[MOST] = {{0}};
    KIT_OK(tuff_safetensors_open(kit_join(kit_golden(golden), "model.safetensors"), &from));
    size_t n = list_more(from, name, rows, columns, items);
    KIT_OK(tuff_safetensors_save(kit_join(directory, "model.safetensors"), items, n, write_more,
                                 &(more){from, rows * columns}));
    tuff_weights_destroy(&from);
    return directory;
}

static float first_of(const tuff_model *model, const char *name)
{
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        if (strcmp(p->name, name) != 0) continue;
        float row[256];
        assert_true(p->shape[1] <= 256);
        KIT_OK(tuff_model_read(model, p, NULL, 0, 1, row));
        return row[0];
    }
    fail_msg("%s is no parameter", name);
    return 0;
}

/* transformers 5.23 uses a head that is stored beside "tie_word_embeddings": true when it differs from the
 * table. */
static void a_stored_head_is_used_whatever_the_config_says(void **state)
{
    (void)state;
    static const char *const goldens[] = {"llama-tied", "gpt2", "qwen2"};
    for (int i = 0; i < 3; i++) {
        tuff_model *tied = model_open(goldens[i]);
        assert_true(tied->config.tied);
        const char *directory = with_tensor(goldens[i], "headed", "lm_head.weight", tied->config.vocab_size,
                                            tied->config.hidden_size);
        tuff_model_destroy(&tied);
        tuff_model *model = model_open(directory);
        assert_false(model->config.tied);
        assert_true(first_of(model, "lm_head.weight") == 0.5f);
        /* both ways of converting keep it, and say so in the config */
        const char *gguf = kit_temp_path("headed.gguf"), *saved = kit_temp_path("headed-saved");
        KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, gguf));
        KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, saved));
        tuff_buf config = {0};
        kit_read_file(kit_join(saved, "config.json"), &config);
        assert_null(strstr(config.data, "\"tie_word_embeddings\":\ttrue"));
        assert_non_null(strstr(config.data, "\"tie_word_embeddings\":\tfalse"));
        tuff_buf_free(&config);
        const char *const paths[] = {gguf, saved};
        for (int k = 0; k < 2; k++) {
            tuff_model *back = model_open(paths[k]);
            assert_false(back->config.tied);
            assert_true(first_of(back, "lm_head.weight") == 0.5f);
            tuff_model_destroy(&back);
        }
        tuff_model_destroy(&model);
    }
}

/* A head that repeats the table byte for byte leaves the model tied. */
static void a_copied_head_is_the_table(void **state)
{
    (void)state;
    const char *directory = kit_copy_model(kit_golden("llama-tied"), "copied");
    tuff_weights *from = NULL;
    tuff_save_item items[MOST] = {{0}};
    KIT_OK(tuff_safetensors_open(kit_join(kit_golden("llama-tied"), "model.safetensors"), &from));
    const tuff_weight *table = tuff_weights_find(from, "model.embed_tokens.weight");
    size_t n = list_more(from, "lm_head.weight", table->shape[0], table->shape[1], items);
    tuff_weight *copy = tuff_alloc_array(n, sizeof *copy);
    memcpy(copy, from->items, from->count * sizeof *copy);
    copy[from->count] = *table;
    tuff_weights all = {.items = copy, .count = n};
    KIT_OK(tuff_safetensors_save(kit_join(directory, "model.safetensors"), items, n, write_more,
                                 &(more){&all, 0}));
    tuff_free(copy);
    tuff_weights_destroy(&from);
    tuff_model *model = model_open(directory);
    assert_true(model->config.tied);
    tuff_model_destroy(&model);
}

static void an_untied_model_needs_its_head(void **state)
{
    (void)state;
    refused(
        model_copy("llama-tied", "untied", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false"),
        TUFF_BAD_FORMAT, "lm_head.weight");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stored_head_is_used_whatever_the_config_says),
        cmocka_unit_test(a_copied_head_is_the_table),
        cmocka_unit_test(an_untied_model_needs_its_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
