/* Encoders: their files with and without the base's prefix and with old names, through GGUF and back, and
 * what refuses them. */
#include <tuff/generate.h>

#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "model_fixture.h"
#include "models/heads/head.h"
#include "models/model.h"
#include "train/trainer.h"

static void refused(const char *path, tuff_status status, const char *part)
{
    tuff_model *model = NULL;
    KIT_FAILS(tuff_model_load(path, &model), status, part);
    assert_null(model);
}

static tuff_status write_same(void *user, size_t index, tuff_sink *sink)
{
    const tuff_weights *from = user;
    return tuff_sink_write(sink, kit_stored(&from->items[index]), from->items[index].bytes);
}

/* A copy of a golden model whose tensors have other names. */
static const char *renamed(const char *golden, const char *as, void (*rename)(const char *name, char *out))
{
    enum { MOST = 64 };
    const char *directory = kit_copy_model(kit_golden(golden), as);
    static char names[MOST][128];
    tuff_save_item items[MOST] = {{0}};
    tuff_weights *from = NULL;
    KIT_OK(tuff_safetensors_open(kit_join(kit_golden(golden), "model.safetensors"), &from));
    assert_true(from->count <= MOST);
    for (size_t i = 0; i < from->count; i++) {
        const tuff_weight *w = &from->items[i];
        rename(w->name, names[i]);
        items[i] = (tuff_save_item){.name = names[i], .storage = TUFF_STORE_F32, .rank = w->rank};
        memcpy(items[i].shape, w->shape, sizeof w->shape);
    }
    KIT_OK(tuff_safetensors_save(kit_join(directory, "model.safetensors"), items, from->count, write_same,
                                 from));
    tuff_weights_destroy(&from);
    return directory;
}

static void with_prefix(const char *name, char *out)
{
    snprintf(out, 128, "bert.%s", name);
}

/* "LayerNorm.gamma" and "LayerNorm.beta", as BERT's first files have them. */
static void with_old_names(const char *name, char *out)
{
    const char *norm = strstr(name, "LayerNorm.");
    if (norm)
        snprintf(out, 128, "bert.%.*sLayerNorm.%s", (int)(norm - name), name,
                 tuff_ends_with(name, "bias") ? "beta" : "gamma");
    else
        with_prefix(name, out);
}

static float *values_of(const tuff_model *model, const tuff_param *p)
{
    float *values = tuff_alloc_array((size_t)tuff_param_elements(p), sizeof *values);
    KIT_OK(tuff_model_read(model, p, NULL, 0, p->shape[0], values));
    return values;
}

/* `skip`: rows of a's table of positions that b does not have. */
static void same_parameters(const tuff_model *a, const tuff_model *b, int64_t skip)
{
    assert_int_equal(a->params.count, b->params.count);
    for (size_t i = 0; i < a->params.count; i++) {
        const tuff_param *p = &a->params.items[i], *q = &b->params.items[i];
        int64_t left = strstr(p->name, "position_embeddings") ? skip * tuff_param_columns(p) : 0;
        assert_string_equal(p->gguf.name, q->gguf.name);
        assert_int_equal(tuff_param_elements(p) - left, tuff_param_elements(q));
        float *x = values_of(a, p), *y = values_of(b, q);
        assert_memory_equal(x + left, y, (size_t)tuff_param_elements(q) * sizeof *x);
        tuff_free(x);
        tuff_free(y);
    }
}

/* The first tensor's name in a saved model. */
static void saved_name_is(const tuff_model *model, const char *name)
{
    const char *directory = kit_temp_path("named");
    tuff_weights *weights = NULL;
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, directory));
    KIT_OK(tuff_safetensors_open(kit_join(directory, "model.safetensors"), &weights));
    assert_non_null(tuff_weights_find(weights, name));
    assert_int_equal(weights->count, model->params.count);
    tuff_weights_destroy(&weights);
}

static void files_with_and_without_the_prefix_and_with_old_names_are_one_model(void **state)
{
    (void)state;
    tuff_model *plain = model_open("bert");
    assert_null(plain->config.head);
    assert_true(plain->config.bare);
    saved_name_is(plain, "embeddings.LayerNorm.weight");
    tuff_model *prefixed = model_open(renamed("bert", "prefixed", with_prefix));
    same_parameters(plain, prefixed, 0);
    saved_name_is(prefixed, "bert.embeddings.LayerNorm.weight");
    tuff_model *old = model_open(renamed("bert", "old", with_old_names));
    same_parameters(plain, old, 0);
    saved_name_is(old, "bert.embeddings.LayerNorm.weight");
    tuff_model_destroy(&plain);
    tuff_model_destroy(&prefixed);
    tuff_model_destroy(&old);
}

/* GGUF has one name for them all: what comes back is another class of Hugging Face that computes the same. */
static void gguf_keeps_every_number(void **state)
{
    (void)state;
    static const struct {
        const char *golden, *back;
    } cases[] = {{"bert", "bert"},
                 {"roberta", "bert"},
                 {"xlm-roberta", "bert"},
                 {"distilbert", "distilbert"},
                 {"nomic_bert", "nomic_bert"},
                 {"modernbert", "modernbert"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *model = model_open(cases[i].golden);
        const char *gguf = kit_temp_path("same.gguf"), *directory = kit_temp_path("same");
        KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, gguf));
        tuff_model *through = model_open(gguf);
        same_parameters(model, through, model->config.position_offset);
        KIT_OK(tuff_model_save(through, TUFF_FORMAT_HF, TUFF_F32, directory));
        tuff_model *back = model_open(directory);
        same_parameters(through, back, 0);
        assert_string_equal(back->config.arch->name, cases[i].back);
        const tuff_config *a = &model->config, *b = &back->config;
        assert_int_equal(b->layer.activation, a->layer.activation);
        assert_int_equal(b->max_positions, a->max_positions);
        assert_int_equal(b->position_offset, 0);
        assert_int_equal(b->token_types, a->token_types);
        assert_int_equal(b->heads, a->heads);
        assert_true(b->rope.theta == a->rope.theta);
        assert_true((float)b->norm_eps == (float)a->norm_eps);
        assert_false(b->causal);
        tuff_model_destroy(&back);
        tuff_model_destroy(&through);
        tuff_model_destroy(&model);
    }
}

static void positions_begin_after_the_padding(void **state)
{
    (void)state;
    tuff_model *model = model_open("roberta");
    assert_int_equal(model->config.position_offset, 4);
    assert_int_equal(model->config.max_positions, 14);
    /* a padding id within a text has its own, as transformers gives it */
    static const int32_t ids[] = {5, 3, 3, 9, 3, 1}, want[] = {4, 3, 3, 5, 3, 6};
    int32_t positions[6];
    tuff_config_positions(&model->config, ids, 6, positions);
    assert_memory_equal(positions, want, sizeof want);
    tuff_model_destroy(&model);
    refused(model_copy("roberta", "edited", "\"pad_token_id\": 3", "\"pad_token_id\": null"), TUFF_BAD_FORMAT,
            "positions begin after pad_token_id");
    refused(model_copy("roberta", "edited", "\"pad_token_id\": 3", "\"pad_token_id\": 17"), TUFF_BAD_FORMAT,
            "positions begin after pad_token_id");
    refused(model_copy("roberta", "edited", "\"pad_token_id\": 3", "\"pad_token_id\": -1"), TUFF_BAD_FORMAT,
            "positions begin after pad_token_id");
}

static void configs_that_would_give_other_numbers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *part;
        tuff_status status;
    } edits[] = {
        {"\"is_decoder\": false", "\"is_decoder\": true",
         "is_decoder is true: Tuff runs this architecture as an", TUFF_UNSUPPORTED},
        {"\"is_decoder\": false", "\"is_causal\": true", "is_causal is true", TUFF_UNSUPPORTED},
        {"\"add_cross_attention\": false", "\"add_cross_attention\": true", "add_cross_attention",
         TUFF_UNSUPPORTED},
        {"\"hidden_act\": \"gelu\"", "\"hidden_act\": \"quick_gelu\"",
         "hidden_act is \"quick_gelu\"; Tuff knows gelu, ", TUFF_UNSUPPORTED},
        {"\"use_cache\": true", "\"position_embedding_type\": \"relative_key\"",
         "position_embedding_type is \"relative_key\"", TUFF_UNSUPPORTED},
        {"\"type_vocab_size\": 3", "\"type_vocab_size\": 0", "type_vocab_size is 0", TUFF_BAD_FORMAT},
        {"\"type_vocab_size\": 3", "\"type_vocab_size\": 2", "has shape [3, 16]", TUFF_BAD_FORMAT},
        {"\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "cannot be shared by 3 heads",
         TUFF_BAD_FORMAT},
        {"\"layer_norm_eps\": 0.05", "\"layer_norm_eps\": 0", "epsilon is 0", TUFF_BAD_FORMAT},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "has no use for the tensor encoder.layer.1.",
         TUFF_UNSUPPORTED},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "the tensor encoder.layer.2.",
         TUFF_BAD_FORMAT},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++)
        refused(model_copy("bert", "edited", edits[i].from, edits[i].to), edits[i].status, edits[i].part);
}

static void an_encoder_is_no_language_model(void **state)
{
    (void)state;
    tuff_model *model = model_open("bert");
    tuff_device *device = kit_cpu();
    tuff_generator *generator = NULL;
    KIT_FAILS(tuff_generator_create(model, device, NULL, &generator), TUFF_UNSUPPORTED,
              "a language model is needed here; this is an encoder bert, whose head is: none");
    const int32_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8};
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    KIT_OK(tuff_dataset_from_ids(ids, 8, 4, &data));
    KIT_FAILS(tuff_trainer_create(model, device, data, NULL, &trainer), TUFF_UNSUPPORTED,
              "a language model is needed");
    KIT_FAILS(tuff_evaluate(model, device, data, NULL, &result), TUFF_UNSUPPORTED,
              "a language model is needed");
    KIT_FAILS(tuff_save_logits(model, device, data, NULL, NULL, kit_temp_path("l.safetensors")),
              TUFF_UNSUPPORTED, "a language model is needed");
    tuff_dataset_destroy(&data);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
}

static void inspecting_says_what_an_encoder_is(void **state)
{
    (void)state;
    char *text = NULL;
    KIT_OK(tuff_inspect(kit_golden("roberta"), 0, &text));
    assert_non_null(strstr(text, "encoder"));
    assert_non_null(strstr(text, "none"));
    assert_non_null(strstr(text, "token types"));
    assert_non_null(strstr(text, "runs                      yes"));
    tuff_free(text);
}

/* What a model's tensors and its class say of its head. */
static void a_head_follows_from_class_and_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *golden, *from, *to;
        const tuff_head *head;
    } cases[] = {
        {"bert-mlm", "BertForMaskedLM", "BertForMaskedLM", &tuff_head_mlm},
        {"bert-mlm", "BertForMaskedLM", "BertForPreTraining", &tuff_head_mlm},
        {"bert-mlm", "BertForMaskedLM", "BertModel", &tuff_head_mlm},
        {"bert-classes", "\"BertForSequenceClassification\"", "", &tuff_head_classes},
        {"bert-tokens", "\"BertForTokenClassification\"", "", &tuff_head_tokens},
        {"bert-spans", "BertForQuestionAnswering", "SomethingElse", &tuff_head_spans},
        {"roberta-classes", "RobertaForSequenceClassification", "RobertaModel", &tuff_head_classes},
        {"distilbert-mlm", "DistilBertForMaskedLM", "DistilBertModel", &tuff_head_mlm},
        {"xlm-roberta-spans", "XLMRobertaForQuestionAnswering", "XLMRobertaModel", &tuff_head_spans},
        {"bert", "BertModel", "BertForMaskedLM", NULL}, /* saved for its states */
        {"bert", "BertModel", "BertForSequenceClassification", NULL},
        {"llama-classes", "LlamaForSequenceClassification", "LlamaForSequenceClassification",
         &tuff_head_classes},
        {"llama", "LlamaForCausalLM", "LlamaModel", &tuff_head_lm},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *model =
            model_open(model_copy(cases[i].golden, cases[i].golden, cases[i].from, cases[i].to));
        if (!tuff_config_has_head(&model->config, cases[i].head))
            fail_msg("%s as %s: its head is %s", cases[i].golden, cases[i].to,
                     tuff_config_head_title(&model->config));
        tuff_model_destroy(&model);
    }
}

static void without(const char *name, char *out)
{
    snprintf(out, 128, "%s", tuff_ends_with(name, "pooler.dense.weight") ? "pooler.gone" : name);
}

static void a_head_that_lacks_a_tensor_is_refused(void **state)
{
    (void)state;
    refused(renamed("bert-classes", "halved", without), TUFF_BAD_FORMAT,
            "the tensor bert.pooler.dense.weight of a bert model");
}

/* Dropping the embedding table's twin, or having another in its place. */
static void an_output_of_its_own_is_used(void **state)
{
    (void)state;
    tuff_model *tied = model_open("bert-mlm");
    assert_true(tied->config.tied);
    assert_null(tuff_params_find(&tied->params, "cls.predictions.decoder.weight"));
    tuff_model_destroy(&tied);
    refused(
        model_copy("bert-mlm", "untied", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false"),
        TUFF_BAD_FORMAT, "the tensor cls.predictions.decoder.weight");
}

static void label_is(const tuff_model *model, int64_t index, const char *name)
{
    char scratch[TUFF_LABEL_SIZE];
    tuff_view label = tuff_model_label(model, index, scratch);
    assert_int_equal(label.size, strlen(name));
    assert_memory_equal(label.data, name, label.size);
}

/* llama.cpp's names hold classifiers; what it has no names for is left out, with a message. */
static void gguf_keeps_classifiers(void **state)
{
    (void)state;
    static const char *const goldens[] = {"bert-classes",       "roberta-classes",    "distilbert-classes",
                                          "nomic_bert-classes", "modernbert-classes", "modernbert-biased",
                                          "llama-classes",      "gpt2-classes"};
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        tuff_model *model = model_open(goldens[i]);
        const char *gguf = kit_temp_path("classes.gguf"), *directory = kit_temp_path("classes");
        KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, gguf));
        tuff_model *through = model_open(gguf);
        same_parameters(model, through, model->config.position_offset);
        assert_ptr_equal(through->config.head->head, &tuff_head_classes);
        KIT_OK(tuff_model_save(through, TUFF_FORMAT_HF, TUFF_F32, directory));
        tuff_model *back = model_open(directory);
        same_parameters(through, back, 0);
        const tuff_model *const all[] = {model, through, back};
        for (int k = 0; k < 3; k++) {
            assert_int_equal(all[k]->config.labels, 3);
            label_is(all[k], 0, "bad");
            label_is(all[k], 1, "so so");
            label_is(all[k], 2, "good");
        }
        tuff_model_destroy(&back);
        tuff_model_destroy(&through);
        tuff_model_destroy(&model);
    }
    tuff_model *model = model_open("bert-mlm"), *bare = model_open("bert");
    const char *gguf = kit_temp_path("layers.gguf");
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, gguf));
    tuff_model *through = model_open(gguf);
    assert_null(through->config.head);
    assert_int_equal(through->params.count, bare->params.count);
    tuff_model_destroy(&through);
    tuff_model_destroy(&bare);
    tuff_model_destroy(&model);
}

/* A head's tensors are written as they were read. */
static void heads_are_saved(void **state)
{
    (void)state;
    static const char *const goldens[] = {"bert-mlm",          "roberta-mlm",    "distilbert-mlm",
                                          "roberta-classes",   "roberta-tokens", "bert-spans",
                                          "llama-classes",     "modernbert-mlm", "modernbert-spans",
                                          "modernbert-biased", "mpnet-mlm",      "mpnet-spans"};
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        tuff_model *model = model_open(goldens[i]);
        const char *directory = kit_temp_path("headed");
        KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, directory));
        tuff_buf was = {0}, is = {0};
        kit_read_file(kit_join(kit_golden(goldens[i]), "model.safetensors"), &was);
        kit_read_file(kit_join(directory, "model.safetensors"), &is);
        assert_int_equal(is.size, was.size);
        assert_memory_equal(is.data, was.data, is.size);
        tuff_buf_free(&was);
        tuff_buf_free(&is);
        tuff_model_destroy(&model);
    }
}

static void labels_are_what_transformers_takes_them_for(void **state)
{
    (void)state;
    static const char ids[] =
        "\"id2label\": {\n    \"0\": \"bad\",\n    \"1\": \"so so\",\n    \"2\": \"good\"\n  }";
    refused(model_copy("bert-classes", "labels", ids, "\"num_labels\": 5"), TUFF_BAD_FORMAT,
            "tensor classifier.weight has shape [3, 16], the config expects [5, 16]");
    refused(model_copy("bert-classes", "labels", ids, "\"x\": 5"), TUFF_BAD_FORMAT,
            "the config expects [2, 16]");
    refused(model_copy("bert-classes", "labels", ids, "\"id2label\": {}"), TUFF_BAD_FORMAT, "no labels");
    refused(model_copy("bert-classes", "labels", ids, "\"num_labels\": -1"), TUFF_BAD_FORMAT,
            "num_labels is -1");
    refused(model_copy("bert-classes", "labels", ids, "\"id2label\": [1]"), TUFF_BAD_FORMAT,
            "id2label must be an object");
    refused(model_copy("bert-classes", "labels", ids, "\"problem_type\": \"guess\""), TUFF_BAD_FORMAT,
            "problem_type is \"guess\", expected regression");
    tuff_model *model =
        model_open(model_copy("bert-classes", "labels", ids,
                              "\"num_labels\": 3, \"problem_type\": \"multi_label_classification\""));
    assert_int_equal(model->config.problem, TUFF_PROBLEM_MULTI_LABEL);
    label_is(model, 2, "LABEL_2");
    tuff_model_destroy(&model);
    char *text = NULL;
    KIT_OK(tuff_inspect(kit_golden("bert-classes"), 0, &text));
    assert_non_null(strstr(text, "sequence classification"));
    assert_non_null(strstr(text, "bad, so so, good"));
    tuff_free(text);
}

/* The keys of the code that comes with Nomic's own models say the same. */
static void nomic_has_two_kinds_of_config(void **state)
{
    (void)state;
    static const char *const edits[][2] = {
        {"\"hidden_size\"", "\"n_embd\""},
        {"\"num_hidden_layers\"", "\"n_layer\""},
        {"\"num_attention_heads\"", "\"n_head\""},
        {"\"intermediate_size\"", "\"n_inner\""},
        {"\"max_position_embeddings\"", "\"n_positions\": 99, \"max_trained_positions\""},
        {"\"layer_norm_eps\"", "\"layer_norm_epsilon\""},
        {"\"hidden_act\": \"silu\"", "\"activation_function\": \"swiglu\""},
        {"\"head_dim\": 8", "\"rotary_emb_fraction\": 1.0"},
        {"\"rope_parameters\": {\n    \"rope_theta\": 50.0,\n    \"rope_type\": \"default\"\n  }",
         "\"rotary_emb_base\": 50"},
    };
    const char *directory = kit_copy_model(kit_golden("nomic_bert"), "nomic");
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++)
        kit_edit_file(kit_join(directory, "config.json"), edits[i][0], edits[i][1]);
    tuff_model *model = model_open("nomic_bert"), *other = model_open(directory);
    const tuff_config *a = &model->config, *b = &other->config;
    same_parameters(model, other, 0);
    assert_true(a->rope.theta == 50 && b->rope.theta == 50);
    assert_true(a->norm_eps == b->norm_eps && a->max_positions == b->max_positions);
    assert_true(a->heads == b->heads && a->head_dim == b->head_dim);
    assert_int_equal(a->layer.activation, b->layer.activation);
    tuff_model_destroy(&model);
    tuff_model_destroy(&other);
    static const char *const refusals[][2] = {
        {"\"prenorm\": true", "prenorm is true"},
        {"\"rotary_emb_fraction\": 0.5", "rotary_emb_fraction is 0.5"},
        {"\"qkv_proj_bias\": true", "qkv_proj_bias is true"},
        {"\"rotary_scaling_factor\": 2", "rotary_scaling_factor is 2"},
        {"\"activation_function\": \"glu\"", "activation_function is \"glu\""}};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        refused(model_copy("nomic_bert", "nomic", "\"head_dim\": 8", refusals[i][0]), TUFF_UNSUPPORTED,
                refusals[i][1]);
}

/* Which layers have the window, and the angles of both kinds. */
static void layers_are(const char *path, const char *windows, double far, double near)
{
    tuff_model *model = model_open(path);
    const tuff_config *c = &model->config;
    assert_true(c->rope.theta == far && c->rope_local.theta == near);
    for (int i = 0; i < 4; i++) {
        const tuff_layer_spec *spec = tuff_config_layer(c, i);
        assert_int_equal(spec->window, windows[i] - '0');
        assert_int_equal(spec->rope, spec->window ? TUFF_ROTARY_LOCAL : TUFF_ROTARY_MAIN);
        assert_int_equal(spec->no_attn_norm, i == 0);
    }
    const char *gguf = kit_temp_path("layers.gguf"), *directory = kit_temp_path("layers");
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, gguf));
    tuff_model *through = model_open(gguf);
    KIT_OK(tuff_model_save(through, TUFF_FORMAT_HF, TUFF_F32, directory));
    tuff_model *back = model_open(directory);
    for (int i = 0; i < 4; i++)
        assert_int_equal(tuff_config_layer(&back->config, i)->window, windows[i] - '0');
    assert_true(back->config.rope.theta == far && back->config.rope_local.theta == near);
    tuff_model_destroy(&back);
    tuff_model_destroy(&through);
    tuff_model_destroy(&model);
}

/* ModernBERT's first files have a period for its kinds of layers, and angles at the top. */
static void modernbert_has_two_kinds_of_layers(void **state)
{
    (void)state;
    static const char types[] =
        "\"layer_types\": [\n    \"full_attention\",\n    \"sliding_attention\",\n    "
        "\"sliding_attention\",\n    \"full_attention\"\n  ]",
                      angles[] = "\"rope_parameters\": {\n    \"full_attention\": {\n      \"rope_theta\": "
                                 "90.0,\n      \"rope_type\": \"default\"\n    },\n    "
                                 "\"sliding_attention\": {\n      \"rope_theta\": 20.0,\n      "
                                 "\"rope_type\": \"default\"\n    }\n  }",
                      width[] = "\"local_attention\": 5", pooling[] = "\"classifier_pooling\": \"mean\"";
    layers_are(kit_golden("modernbert"), "0220", 90, 20);
    layers_are(model_copy("modernbert", "layers-0", types, "\"global_attn_every_n_layers\": 2"), "0202", 90,
               20);
    layers_are(model_copy("modernbert", "layers-1", types, "\"x\": 1"), "0220", 90, 20);
    layers_are(model_copy("modernbert", "layers-2", types,
                          "\"layer_types\": [\"sliding_attention\", \"attention\", \"full_attention\", "
                          "\"sliding_attention\"]"),
               "2002", 90, 20);
    layers_are(model_copy("modernbert", "layers-3", angles, "\"local_rope_theta\": 7"), "0220", 160000, 7);
    layers_are(model_copy("modernbert", "layers-4", angles, "\"global_rope_theta\": 8"), "0220", 8, 10000);
    static const struct {
        const char *from, *to, *part;
        tuff_status status;
    } refusals[] = {
        {types, "\"layer_types\": [\"full_attention\"]", "a list of 4 texts", TUFF_BAD_FORMAT},
        {types, "\"global_attn_every_n_layers\": 0", "global_attn_every_n_layers is 0", TUFF_BAD_FORMAT},
        {types,
         "\"layer_types\": [\"full_attention\", \"full_attention\", \"linear_attention\", \"full_attention\"]",
         "a layer of \"linear_attention\" at 2", TUFF_UNSUPPORTED},
        {angles, "\"rope_scaling\": {\"rope_type\": \"mrope\", \"factor\": 2}", "scaled by \"mrope\"",
         TUFF_UNSUPPORTED},
        {angles, "\"local_rope_theta\": 0", "bases of its rotary embeddings are", TUFF_BAD_FORMAT},
        {width, "\"local_attention\": 1", "its local layers is 0 tokens to either side", TUFF_BAD_FORMAT},
        {pooling, "\"classifier_pooling\": \"max\"", "classifier_pooling is \"max\"; Tuff knows cls and mean",
         TUFF_UNSUPPORTED},
        {"\"norm_bias\": false", "\"norm_bias\": true", "norm.bias", TUFF_BAD_FORMAT},
        {"\"hidden_activation\": \"gelu\"", "\"hidden_activation\": \"quick\"",
         "hidden_activation is \"quick\"", TUFF_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        refused(model_copy("modernbert", "refused", refusals[i].from, refusals[i].to), refusals[i].status,
                refusals[i].part);
}

static void expect_same_weights(const tuff_model *a, const tuff_model *b)
{
    assert_int_equal(a->params.count, b->params.count);
    for (size_t i = 0; i < a->params.count; i++) {
        const tuff_param *p = &a->params.items[i], *q = tuff_params_find(&b->params, p->name);
        assert_non_null(q);
        const size_t n = (size_t)tuff_param_elements(p);
        float *x = tuff_alloc_array(n, sizeof *x), *y = tuff_alloc_array(n, sizeof *y);
        KIT_OK(tuff_model_read(a, p, NULL, 0, p->shape[0], x));
        KIT_OK(tuff_model_read(b, q, NULL, 0, q->shape[0], y));
        assert_memory_equal(x, y, n * sizeof *x);
        tuff_free(x);
        tuff_free(y);
    }
}

/* The class says so, whatever else config.json does; files of the whole model are another thing. */
static void t5_may_be_its_encoder_alone(void **state)
{
    (void)state;
    tuff_model *model = model_open("t5-encoder"), *as_gguf = NULL, *back = NULL;
    const char *gguf = kit_temp_path("t5-encoder.gguf"), *directory = kit_path("t5-encoder-back");
    assert_string_equal(tuff_config_kind(&model->config), "an encoder");
    assert_null(model->config.head);
    assert_false(model->config.causal);
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, gguf));
    KIT_OK(tuff_model_load(gguf, &as_gguf));
    assert_string_equal(as_gguf->config.arch->gguf, "t5encoder");
    assert_int_equal(as_gguf->config.distance_farthest, 7);
    expect_same_weights(model, as_gguf);
    KIT_OK(tuff_model_save(as_gguf, TUFF_FORMAT_HF, TUFF_F32, directory));
    KIT_OK(tuff_model_load(directory, &back));
    assert_string_equal(tuff_config_kind(&back->config), "an encoder");
    expect_same_weights(model, back);
    tuff_model_destroy(&back);
    tuff_model_destroy(&as_gguf);
    tuff_model_destroy(&model);
    model = model_open(
        model_copy("t5-encoder", "pair", "\"is_encoder_decoder\": false", "\"is_encoder_decoder\": true"));
    assert_string_equal(tuff_config_kind(&model->config), "an encoder");
    tuff_model_destroy(&model);
    refused(model_copy("t5-encoder", "whole", "T5EncoderModel", "T5ForConditionalGeneration"),
            TUFF_UNSUPPORTED, "is_encoder_decoder is false");
}

static void keep_message(tuff_log_level level, const char *message, void *user)
{
    (void)level;
    snprintf(user, 512, "%s", message);
}

/* Files of a whole model, whose config.json asks for its encoder alone: the rest is left, which is told. */
static void a_whole_t5_may_be_read_as_its_encoder(void **state)
{
    (void)state;
    const char *path = model_copy("t5", "half", "T5ForConditionalGeneration", "T5EncoderModel");
    tuff_model *whole = model_open("t5"), *half = NULL;
    char message[512] = "";
    tuff_set_log(keep_message, TUFF_LOG_WARN, message);
    KIT_OK(tuff_model_load(path, &half));
    tuff_set_log(NULL, TUFF_LOG_ERROR, NULL);
    if (!strstr(message, "are of parts that its class (T5EncoderModel, by config.json) does without"))
        fail_msg("%s", message);
    assert_string_equal(tuff_config_kind(&half->config), "an encoder");
    assert_true(half->params.count > 0 && half->params.count < whole->params.count);
    for (size_t i = 0; i < half->params.count; i++) {
        const tuff_param *p = &half->params.items[i], *q = tuff_params_find(&whole->params, p->name);
        assert_non_null(q);
        const size_t n = (size_t)tuff_param_elements(p);
        float *x = tuff_alloc_array(n, sizeof *x), *y = tuff_alloc_array(n, sizeof *y);
        KIT_OK(tuff_model_read(half, p, NULL, 0, p->shape[0], x));
        KIT_OK(tuff_model_read(whole, q, NULL, 0, q->shape[0], y));
        assert_memory_equal(x, y, n * sizeof *x);
        tuff_free(x);
        tuff_free(y);
    }
    tuff_model_destroy(&half);
    tuff_model_destroy(&whole);
}

/* The table of buckets is one for all layers; GGUF has no such model. */
static void mpnet_has_a_bias_by_distance(void **state)
{
    (void)state;
    tuff_model *model = model_open("mpnet");
    const tuff_config *c = &model->config;
    const tuff_param *table =
        tuff_params_find(&model->params, "mpnet.encoder.relative_attention_bias.weight");
    assert_non_null(table);
    assert_int_equal(table->shape[0], 32);
    assert_int_equal(table->shape[1], c->heads);
    assert_int_equal(c->position_offset, 2);
    assert_int_equal(c->max_positions, 102);
    KIT_FAILS(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, kit_temp_path("mpnet.gguf")),
              TUFF_UNSUPPORTED, "GGUF has no architecture for mpnet");
    tuff_model_destroy(&model);
    refused(model_copy("mpnet", "edited", "\"relative_attention_num_buckets\": 32",
                       "\"relative_attention_num_buckets\": 64"),
            TUFF_UNSUPPORTED, "relative_attention_num_buckets is 64; transformers runs MPNet with 32");
    refused(model_copy("mpnet", "edited", "\"hidden_act\": \"silu\"", "\"hidden_act\": \"quick\""),
            TUFF_UNSUPPORTED, "hidden_act is \"quick\"");
    refused(model_copy("mpnet", "edited", "\"num_attention_heads\": 2", "\"num_attention_heads\": 4"),
            TUFF_BAD_FORMAT, "relative_attention_bias.weight has shape [32, 2]");
}

/* Old directories have vocab.txt only; what is saved over one has no tokenizer of another. */
static void a_vocabulary_of_lines_is_a_tokenizer(void **state)
{
    (void)state;
    static const char lines[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nship\n##s\n", text[] = "Ships ship";
    static const int32_t wanted[] = {2, 5, 6, 5, 3};
    const char *path = kit_copy_model(kit_golden("bert"), "lines");
    kit_write_file(kit_join(path, "vocab.txt"), lines, sizeof lines - 1);
    for (int saved = 0; saved < 2; saved++) {
        tuff_model *model = model_open(path);
        int32_t *ids = NULL;
        size_t count = 0;
        assert_non_null(model->tokenizer);
        KIT_OK(tuff_tokenizer_encode(model->tokenizer, text, sizeof text - 1, TUFF_ENCODE_ADD_SPECIAL, &ids,
                                     &count));
        assert_int_equal(count, sizeof wanted / sizeof *wanted);
        assert_memory_equal(ids, wanted, sizeof wanted);
        tuff_free(ids);
        KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, path));
        assert_false(tuff_is_file(kit_join(path, "vocab.txt")));
        tuff_model_destroy(&model);
    }
}

/* CamemBERT is RoBERTa by another name. */
static void aliases_are_what_they_stand_for(void **state)
{
    (void)state;
    const char *copy = kit_copy_model(kit_golden("roberta-mlm"), "camembert"),
               *config = kit_join(copy, "config.json");
    tuff_buf text = {0}, other = {0};
    tuff_model *model = NULL, *roberta = NULL;
    kit_read_file(config, &text);
    char *type = strstr(text.data, "\"model_type\": \"roberta\"");
    assert_non_null(type);
    tuff_buf_bytes(&other, text.data, (size_t)(type - text.data));
    tuff_buf_text(&other, "\"model_type\": \"camembert\"");
    tuff_buf_text(&other, type + strlen("\"model_type\": \"roberta\""));
    kit_write_file(config, other.data, other.size);
    KIT_OK(tuff_model_load(copy, &model));
    KIT_OK(tuff_model_load(kit_golden("roberta-mlm"), &roberta));
    assert_ptr_equal(model->config.arch, roberta->config.arch);
    assert_int_equal(tuff_model_parameters(model), tuff_model_parameters(roberta));
    tuff_model_destroy(&model);
    tuff_model_destroy(&roberta);
    tuff_buf_free(&text);
    tuff_buf_free(&other);
}

/* The hub's programs keep a model two directories below the one that has its name. */
static void caches_of_the_hub_are_known(void **state)
{
    (void)state;
    const char *root = kit_path("models--a--b"), *snapshots = kit_join(root, "snapshots"),
               *refs = kit_join(root, "refs");
    KIT_OK(tuff_make_directories(snapshots));
    KIT_OK(tuff_make_directories(refs));
    refused(root, TUFF_NOT_FOUND, "models--a--b/snapshots: give that");
    KIT_OK(tuff_make_directories(kit_join(snapshots, "aaaa")));
    KIT_OK(tuff_make_directories(kit_join(snapshots, "bbbb")));
    kit_write_file(kit_join(refs, "main"), "bbbb\n", 5);
    refused(root, TUFF_NOT_FOUND, "models--a--b/snapshots/bbbb: give that");
    kit_write_file(kit_join(refs, "main"), "../..", 5);
    refused(root, TUFF_NOT_FOUND, "the model is in a directory of ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aliases_are_what_they_stand_for),
        cmocka_unit_test(caches_of_the_hub_are_known),
        cmocka_unit_test(files_with_and_without_the_prefix_and_with_old_names_are_one_model),
        cmocka_unit_test(gguf_keeps_every_number),
        cmocka_unit_test(positions_begin_after_the_padding),
        cmocka_unit_test(configs_that_would_give_other_numbers_are_refused),
        cmocka_unit_test(an_encoder_is_no_language_model),
        cmocka_unit_test(inspecting_says_what_an_encoder_is),
        cmocka_unit_test(a_head_follows_from_class_and_tensors),
        cmocka_unit_test(a_head_that_lacks_a_tensor_is_refused),
        cmocka_unit_test(an_output_of_its_own_is_used),
        cmocka_unit_test(gguf_keeps_classifiers),
        cmocka_unit_test(heads_are_saved),
        cmocka_unit_test(nomic_has_two_kinds_of_config),
        cmocka_unit_test(modernbert_has_two_kinds_of_layers),
        cmocka_unit_test(t5_may_be_its_encoder_alone),
        cmocka_unit_test(a_whole_t5_may_be_read_as_its_encoder),
        cmocka_unit_test(mpnet_has_a_bias_by_distance),
        cmocka_unit_test(labels_are_what_transformers_takes_them_for),
        cmocka_unit_test(a_vocabulary_of_lines_is_a_tokenizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
