/* Embeddings are trained: with cached gradients the same, saved so that the vectors are what they were; and
 * files that cannot be trained on are refused. The losses themselves are in kit/golden_tasks.c. */
#include <math.h>
#include <stdio.h>
#include <tuff/embed.h>
#include <tuff/measure.h>
#include <tuff/train.h>

#include "base/file.h"
#include "formats/safetensors.h"
#include "kit/files.h"
#include "model_fixture.h"

enum { STEPS = 20, BATCH = 4, D = 16 };

static tuff_device *device;
static tuff_model *model;

static int set_up(void **state)
{
    (void)state;
    model = model_open(kit_golden("embedding/bert"));
    device = kit_cpu();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tuff_model_destroy(&model);
    tuff_device_destroy(&device);
    return 0;
}

static tuff_dataset *load(const char *loss, const char *file, int64_t cache)
{
    tuff_pair_params params = TUFF_PAIR_PARAMS_INIT;
    tuff_dataset *data = NULL;
    char name[64];
    snprintf(name, sizeof name, "embedding/%s", file);
    params.loss = loss;
    params.gradient_cache_batch = cache;
    KIT_OK(tuff_dataset_load_pairs(model, kit_golden(name), &params, &data));
    return data;
}

static tuff_train_params settings(void)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = STEPS;
    p.per_device_train_batch_size = BATCH;
    p.learning_rate = 1e-3;
    p.lr_scheduler_type = TUFF_SCHEDULE_CONSTANT;
    p.no_shuffle = true;
    return p;
}

/* The losses of all steps; the trainer is kept where it is asked for. */
static void train(const tuff_dataset *data, const tuff_train_params *p, double *losses, tuff_trainer **out)
{
    tuff_trainer *t = NULL;
    KIT_OK(tuff_trainer_create(model, device, data, p, &t));
    for (int64_t i = 0; i < p->max_steps; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(t, &step));
        losses[i] = step.loss;
    }
    if (out)
        *out = t;
    else
        tuff_trainer_destroy(&t);
}

static const struct loss_file {
    const char *loss, *file;
} files[] = {{"mnrl", "ranked.jsonl"},
             {"cosine", "pairs.csv"},
             {"triplet", "triplets.jsonl"},
             {"contrastive", "together.csv"},
             {"cosent", "pairs.csv"}};
enum { FILES = sizeof files / sizeof *files };

/* Each piece of a batch drops out numbers of its own: four times the same text, once LoRA's matrices have
 * moved, are four vectors, of which none is certain to be the nearest. */
static void pieces_drop_out_numbers_of_their_own(void **state)
{
    (void)state;
    enum { BEFORE = 4 };
    const char *path = kit_path("pieces.jsonl");
    tuff_pair_params params = TUFF_PAIR_PARAMS_INIT;
    tuff_dataset *data = NULL;
    tuff_buf text = {0};
    for (int i = 0; i < 2 * BEFORE; i++)
        tuff_buf_printf(&text, "{\"anchor\": \"%s\", \"positive\": \"%s\"}\n",
                        i % 2 ? "old mast storm" : "the captain sails",
                        i % 2 ? "harbour lamp" : "sea bell a");
    for (int i = 0; i < 2; i++)
        tuff_buf_text(&text, "{\"anchor\": \"new ship\", \"positive\": \"new ship\"}\n");
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    params.gradient_cache_batch = 1;
    KIT_OK(tuff_dataset_load_pairs(model, path, &params, &data));
    tuff_train_params p = settings();
    double losses[BEFORE + 1];
    p.max_steps = BEFORE + 1;
    p.per_device_train_batch_size = 2;
    p.learning_rate = 0.1;
    p.lora_rank = 2;
    p.lora_dropout = 0.5;
    train(data, &p, losses, NULL);
    assert_true(fabs(losses[BEFORE] - log(2)) > 1e-3);
    p.lora_dropout = 0;
    train(data, &p, losses, NULL);
    assert_true(fabs(losses[BEFORE] - log(2)) < 1e-5);
    tuff_dataset_destroy(&data);
}

/* A batch in pieces of 5 texts and of 1 gives what the whole batch gives, but for rounding. */
static void cached_gradients_are_the_same(void **state)
{
    (void)state;
    static const int64_t pieces[] = {5, 1, 100};
    for (int i = 0; i < FILES; i++) {
        double whole[STEPS], cached[STEPS];
        tuff_train_params p = settings();
        p.max_steps = 6;
        p.gradient_accumulation_steps = 1 + i % 2;
        tuff_dataset *data = load(files[i].loss, files[i].file, 0);
        train(data, &p, whole, NULL);
        tuff_dataset_destroy(&data);
        for (int k = 0; k < 3; k++) {
            data = load(files[i].loss, files[i].file, pieces[k]);
            train(data, &p, cached, NULL);
            tuff_dataset_destroy(&data);
            for (int64_t s = 0; s < p.max_steps; s++)
                if (!(fabs(whole[s] - cached[s]) <= 2e-6 * whole[s]))
                    fail_msg("%s in pieces of %d, step %d: %.9g, whole %.9g", files[i].loss, (int)pieces[k],
                             (int)s + 1, cached[s], whole[s]);
        }
    }
}

/* What the first pass dropped the second drops, too: one piece with all texts gives what the batch does. */
static void both_passes_drop_the_same(void **state)
{
    (void)state;
    double whole[6], cached[6];
    tuff_train_params p = settings();
    p.max_steps = 6;
    p.dropout = 0.3;
    tuff_dataset *data = load("mnrl", "ranked.jsonl", 0);
    train(data, &p, whole, NULL);
    tuff_dataset_destroy(&data);
    data = load("mnrl", "ranked.jsonl", 100);
    train(data, &p, cached, NULL);
    for (int i = 0; i < 6; i++)
        assert_true(fabs(whole[i] - cached[i]) <= 2e-6 * whole[i]);
    p.dropout = TUFF_DROPOUT_NONE;
    train(data, &p, cached, NULL);
    assert_true(fabs(whole[0] - cached[0]) > 1e-3 * whole[0]);
    tuff_dataset_destroy(&data);
}

/* LoRA on the same texts again and again learns them. */
static void lora_learns(void **state)
{
    (void)state;
    double losses[40];
    tuff_train_params p = settings();
    p.max_steps = 40;
    p.lora_rank = 4;
    p.learning_rate = 1e-2;
    p.per_device_train_batch_size = 30;
    tuff_dataset *data = load("cosine", "pairs.csv", 0);
    train(data, &p, losses, NULL);
    tuff_dataset_destroy(&data);
    assert_true(losses[39] < 0.5 * losses[0]);
}

static double figure(const tuff_eval_result *r, const char *name)
{
    for (int64_t i = 0; i < r->count; i++)
        if (strcmp(r->figures[i].name, name) == 0) return r->figures[i].value;
    fail_msg("no figure %s", name);
    return 0;
}

/* What is measured while training is what the saved model gives: its vectors' cosines, by rank. */
static void what_is_saved_is_what_was_trained(void **state)
{
    (void)state;
    double losses[STEPS];
    tuff_trainer *t = NULL;
    const tuff_train_params p = settings();
    tuff_dataset *data = load("cosine", "pairs.csv", 0), *measured = load("cosent", "pairs.csv", 0);
    const char *out = kit_path("trained");
    train(data, &p, losses, &t);
    tuff_eval_result r = TUFF_EVAL_RESULT_INIT;
    KIT_OK(tuff_trainer_evaluate(t, measured, &r));
    KIT_OK(tuff_trainer_save(t, out));
    KIT_OK(tuff_trainer_save(t, out)); /* again, over the first */
    tuff_trainer_destroy(&t);
    tuff_dataset_destroy(&data);
    tuff_dataset_destroy(&measured);
    tuff_model *saved = NULL;
    tuff_embedder *embedder = NULL;
    tuff_sts_result sts = TUFF_STS_RESULT_INIT;
    float vector[D];
    double squares = 0;
    KIT_OK(tuff_model_load(out, &saved));
    KIT_OK(tuff_embedder_create(saved, device, NULL, &embedder));
    assert_int_equal(tuff_embedder_max_length(embedder), 12);
    assert_string_equal(tuff_embedder_prompt(embedder, "query"), "");
    KIT_OK(tuff_embed(embedder, (const char *const[]){"the old ship"}, NULL, 1, NULL, vector, NULL));
    for (int i = 0; i < D; i++)
        squares += (double)vector[i] * (double)vector[i];
    assert_true(fabs(squares - 1) < 1e-5);
    KIT_OK(tuff_measure_sts(embedder, kit_golden("embedding/pairs.csv"), NULL, &sts));
    assert_true(fabs(sts.spearman - figure(&r, "spearman")) < 1e-3);
    assert_true(fabs(sts.pearson - figure(&r, "pearson")) < 1e-4);
    tuff_embedder_destroy(&embedder);
    tuff_model_destroy(&saved);
    tuff_sts_result before = TUFF_STS_RESULT_INIT;
    KIT_OK(tuff_embedder_create(model, device, NULL, &embedder));
    KIT_OK(tuff_measure_sts(embedder, kit_golden("embedding/pairs.csv"), NULL, &before));
    assert_true(sts.pearson > before.pearson); /* it has learned */
    tuff_embedder_destroy(&embedder);
}

/* ---- search while training */

/* Documents, queries and which answer which; in paths that last. */
static char searched[3][512];

static void write_search(void)
{
    static const char *const names[] = {"docs.jsonl", "queries.jsonl", "qrels.txt"},
                             *const texts[] = {"{\"_id\": \"a\", \"text\": \"the old ship in the bell\"}\n"
                                               "{\"_id\": \"b\", \"text\": \"a storm at sea\"}\n"
                                               "{\"_id\": \"c\", \"text\": \"the crew and the mast\"}\n"
                                               "{\"_id\": \"d\", \"text\": \"wind\"}\n"
                                               "{\"_id\": \"e\", \"text\": \"a lamp in the land\"}\n",
                                               "{\"_id\": \"1\", \"text\": \"the mast\"}\n"
                                               "{\"_id\": \"2\", \"text\": \"sea and wind\"}\n"
                                               "{\"_id\": \"3\", \"text\": \"the bell\"}\n",
                                               "1 0 c 1\n2 0 b 1\n2 0 d 1\n3 0 e 1\n"};
    for (int i = 0; i < 3; i++) {
        snprintf(searched[i], sizeof searched[i], "%s", kit_path(names[i]));
        kit_write_file(searched[i], texts[i], strlen(texts[i]));
    }
}

/* By the saved result, a model or an adapter, the figures of a search. */
static tuff_retrieval_result search_by(const char *directory, bool adapter)
{
    tuff_model *saved = NULL;
    tuff_embedder *embedder = NULL;
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    tuff_retrieval_result r = TUFF_RETRIEVAL_RESULT_INIT;
    if (adapter) params.adapter = directory;
    if (!adapter) KIT_OK(tuff_model_load(directory, &saved));
    KIT_OK(tuff_embedder_create(adapter ? model : saved, device, &params, &embedder));
    KIT_OK(tuff_measure_retrieval(embedder, searched[0], searched[1], searched[2], NULL, &r));
    tuff_embedder_destroy(&embedder);
    tuff_model_destroy(&saved);
    return r;
}

/* A search with vectors that are being trained gives what it gives by the model, or the adapter, that is
 * saved then, and the steps that follow do not see it. */
static void search_while_training(void **state)
{
    (void)state;
    write_search();
    for (int adapter = 0; adapter < 2; adapter++) {
        double losses[STEPS];
        tuff_train_params p = settings();
        tuff_dataset *data = load("cosine", "pairs.csv", adapter ? 3 : 0);
        tuff_trainer *t = NULL;
        tuff_retrieval_result before = TUFF_RETRIEVAL_RESULT_INIT, after = before;
        p.lora_rank = 2 * adapter;
        p.learning_rate = adapter ? 3e-2 : 1e-2;
        train(data, &p, losses, NULL);
        KIT_OK(tuff_trainer_create(model, device, data, &p, &t));
        KIT_OK(tuff_trainer_measure_retrieval(t, searched[0], searched[1], searched[2], NULL, &before));
        for (int i = 0; i < STEPS; i++) {
            tuff_train_step step = TUFF_TRAIN_STEP_INIT;
            KIT_OK(tuff_trainer_step(t, &step));
            assert_true(step.loss == losses[i]);
            KIT_OK(tuff_trainer_measure_retrieval(t, searched[0], searched[1], searched[2], NULL, &after));
        }
        assert_true(before.ndcg_at_10 != after.ndcg_at_10); /* it has learned something */
        assert_int_equal(after.queries, 3);
        const char *out = kit_path(adapter ? "searched-adapter" : "searched");
        KIT_OK(tuff_trainer_save(t, out));
        const tuff_retrieval_result saved = search_by(out, adapter);
        assert_memory_equal(&saved, &after, sizeof saved);
        tuff_weights *weights = NULL;
        KIT_OK(tuff_safetensors_open(
            kit_join(out, adapter ? "adapter_model.safetensors" : "model.safetensors"), &weights));
        /* PEFT loads it onto the layers alone, as sentence-transformers has them */
        assert_true(!adapter || tuff_weights_find(weights, "base_model.model.encoder.layer.0.attention.self."
                                                           "query.lora_A.weight"));
        tuff_weights_destroy(&weights);
        KIT_FAILS(tuff_trainer_measure_retrieval(t, searched[0], NULL, searched[2], NULL, &after),
                  TUFF_INVALID_ARGUMENT, "queries");
        tuff_trainer_destroy(&t);
        tuff_dataset_destroy(&data);
    }
}

/* ---- what is refused */

static void refuses(const char *loss, const char *name, const char *text, tuff_status status,
                    const char *part)
{
    tuff_pair_params params = TUFF_PAIR_PARAMS_INIT;
    tuff_dataset *data = NULL;
    const char *path = kit_path(name);
    kit_write_file(path, text, strlen(text));
    params.loss = loss;
    params.strict = true;
    KIT_FAILS(tuff_dataset_load_pairs(model, path, &params, &data), status, part);
    assert_null(data);
}

static char heard[512];

static void hear(tuff_log_level level, const char *message, void *user)
{
    (void)level;
    (void)user;
    snprintf(heard, sizeof heard, "%s", message);
}

/* Of scored pairs those of score 0 do not belong together. */
static void scores_that_a_loss_does_not_look_at_are_told(void **state)
{
    (void)state;
    static const char scored[] = "sentence1,sentence2,score\nthe,sea,0\n",
                      plain[] = "sentence1,sentence2\nthe,sea\n";
    tuff_set_log(hear, TUFF_LOG_WARN, NULL);
    for (int i = 0; i < 2; i++) {
        kit_write_file(kit_path("scored.csv"), i ? plain : scored, i ? sizeof plain - 1 : sizeof scored - 1);
        heard[0] = '\0';
        tuff_pair_params params = TUFF_PAIR_PARAMS_INIT;
        tuff_dataset *data = NULL;
        KIT_OK(tuff_dataset_load_pairs(model, kit_path("scored.csv"), &params, &data));
        tuff_dataset_destroy(&data);
        assert_int_equal(strstr(heard, "has scores, which the loss mnrl does not look at") != NULL, !i);
    }
    tuff_set_log(NULL, TUFF_LOG_ERROR, NULL);
}

static void files_that_cannot_be_trained_on(void **state)
{
    (void)state;
    const tuff_status wrong = TUFF_INVALID_ARGUMENT;
    refuses("mnrl", "a.csv", "anchor,text\na,b\n", wrong,
            "has no column \"positive\"; it has anchor, text; the loss mnrl wants anchor, positive and, if");
    refuses("mnrl", "b.jsonl", "{\"query\": \"a\"}\n", wrong, "has no column \"anchor\"; it has query");
    refuses("triplet", "c.csv", "anchor,positive\na,b\n", wrong, "has no column \"negative\"");
    refuses("triplet", "d.csv", "anchor,positive,negative_1,negative_2\na,b,c,d\n", wrong,
            "has 2 columns of negatives; the loss triplet takes one");
    refuses("cosine", "e.csv", "sentence1,sentence2\na,b\n", wrong, "has no column \"score\"");
    refuses(
        "cosine", "f.csv", "sentence1,sentence2,score\nthe,sea,0.5\na,b,4.5\n", wrong,
        "line 3: its score is 4.5, but the loss cosine compares it with a cosine: expected -1 to 1; divide");
    refuses("contrastive", "g.csv", "sentence1,sentence2,label\nthe,sea,0.5\n", wrong,
            "line 2: its score is 0.5; the loss contrastive expects 1 for texts that belong together");
    refuses("cosent", "h.csv", "sentence1,sentence2,score\nthe,sea,good\n", TUFF_BAD_FORMAT,
            "line 2: its \"score\" is \"good\"");
    refuses("mnrl", "i.csv", "anchor,positive\nthe,sea\nthe,\n", TUFF_BAD_FORMAT,
            "line 3: its \"positive\" is empty");
    refuses("mnrl", "j.csv", "anchor,positive\n", wrong, "has no records");
    refuses("mnrl", "k.txt", "the sea\n", wrong, "has no columns; pairs of texts are read from JSON lines");
    refuses("mnrl", "l.jsonl", "{\"anchor\": \"a\", \"positive\": \"b\"}\n{\"anchor\": \"a\"}\n",
            TUFF_BAD_FORMAT, "line 2: its \"positive\" is missing");
    refuses("mse", "m.csv", "anchor,positive\na,b\n", wrong,
            "there is no loss \"mse\"; expected one of mnrl, cosine, triplet, contrastive, cosent");
}

static void batches_that_cannot_be_trained_on(void **state)
{
    (void)state;
    const char *path = kit_path("two.csv");
    static const char rows[] = "anchor,positive\nthe ship,a ship\nthe sea,a sea\n";
    kit_write_file(path, rows, sizeof rows - 1);
    tuff_dataset *data = NULL;
    tuff_trainer *t = NULL;
    tuff_train_params p = settings();
    p.per_device_train_batch_size = 1;
    KIT_OK(tuff_dataset_load_pairs(model, path, NULL, &data));
    KIT_FAILS(tuff_trainer_create(model, device, data, &p, &t), TUFF_INVALID_ARGUMENT,
              "a batch of one has no others; expected a batch of at least 2");
    tuff_model *other = model_open("bert");
    p.per_device_train_batch_size = 2;
    KIT_FAILS(tuff_trainer_create(other, device, data, &p, &t), TUFF_INVALID_ARGUMENT,
              "read for another model");
    tuff_model_destroy(&other);
    tuff_dataset_destroy(&data);
    other = model_open("llama"); /* its head is no embedding table */
    KIT_OK(tuff_dataset_load_pairs(other, path, NULL, &data));
    p.per_device_train_batch_size = 2;
    KIT_FAILS(tuff_trainer_create(other, device, data, &p, &t), TUFF_UNSUPPORTED,
              "lm_head.weight has no part in embeddings and cannot be trained by it: train an adapter");
    p.peft_type = "PROMPT_TUNING";
    KIT_FAILS(tuff_trainer_create(other, device, data, &p, &t), TUFF_UNSUPPORTED,
              "so that prompt tuning of embeddings is not done; take LoRA or IA3");
    p.peft_type = NULL;
    p.lora_rank = 2;
    KIT_OK(tuff_trainer_create(other, device, data, &p, &t));
    tuff_trainer_destroy(&t);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&other);
    p.lora_rank = 0;
    data = load("mnrl", "ranked.jsonl", 0); /* negatives of its own are others enough */
    p.per_device_train_batch_size = 1;
    KIT_OK(tuff_trainer_create(model, device, data, &p, &t));
    tuff_trainer_destroy(&t);
    tuff_dataset_destroy(&data);
}

static tuff_status load_ranked(void *path)
{
    tuff_dataset *data = NULL;
    tuff_status status = tuff_dataset_load_pairs(model, path, NULL, &data);
    tuff_dataset_destroy(&data);
    return status;
}

static void memory_may_fail(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", kit_golden("embedding/ranked.jsonl"));
    model_fail_some_allocations(load_ranked, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cached_gradients_are_the_same),
        cmocka_unit_test(pieces_drop_out_numbers_of_their_own),
        cmocka_unit_test(both_passes_drop_the_same),
        cmocka_unit_test(lora_learns),
        cmocka_unit_test(what_is_saved_is_what_was_trained),
        cmocka_unit_test(search_while_training),
        cmocka_unit_test(scores_that_a_loss_does_not_look_at_are_told),
        cmocka_unit_test(files_that_cannot_be_trained_on),
        cmocka_unit_test(batches_that_cannot_be_trained_on),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
