/* What tests of the tasks' goldens share: records, models with words for them, steps and how near they must
 * be. */
#ifndef TUFF_TESTS_TASK_TRUTH_H
#define TUFF_TESTS_TASK_TRUTH_H

#include "base/json.h"
#include "kit/files.h"
#include "kit/truth.h"

/* A task of assets/golden/tasks. */
typedef struct recipe {
    const char *name, *task, *file;
    const char *text, *pair, *label;
    const char *kind; /* the problem of classification, the loss of vectors */
} recipe;
enum {
    MLM,
    CLASSIFICATION,
    SEVERAL,
    REGRESSION,
    TOKENS,
    QA,
    EMBEDDING,
    COSINE,
    TRIPLET,
    CONTRASTIVE,
    COSENT,
    RECIPES
};
static const recipe recipes[RECIPES] = {
    [MLM] = {"mlm", "mlm", "mlm.txt", NULL, NULL, NULL, NULL},
    [CLASSIFICATION] = {"classification", "classification", "classification.tsv", "one", "two", "class",
                        NULL},
    [SEVERAL] = {"several", "classification", "several.jsonl", NULL, NULL, NULL,
                 "multi_label_classification"},
    [REGRESSION] = {"regression", "classification", "regression.csv", NULL, NULL, NULL, NULL},
    [TOKENS] = {"tokens", "token-classification", "tokens.jsonl", NULL, NULL, NULL, NULL},
    [QA] = {"qa", "qa", "qa.jsonl", NULL, NULL, NULL, NULL},
    [EMBEDDING] = {"embedding", "embedding", "embedding.csv", NULL, NULL, NULL, NULL},
    [COSINE] = {"cosine", "embedding", "scored.csv", NULL, NULL, NULL, "cosine"},
    [TRIPLET] = {"triplet", "embedding", "triplets.csv", NULL, NULL, NULL, "triplet"},
    [CONTRASTIVE] = {"contrastive", "embedding", "together.csv", NULL, NULL, NULL, "contrastive"},
    [COSENT] = {"cosent", "embedding", "scored.csv", NULL, NULL, NULL, "cosent"},
};

static inline const recipe *recipe_of(const char *name)
{
    for (int i = 0; i < RECIPES; i++)
        if (strcmp(recipes[i].name, name) == 0) return &recipes[i];
    fail_msg("there is no recipe %s", name);
    return NULL;
}

static inline const char *task_asset(const char *name)
{
    return kit_join(kit_golden("tasks"), name);
}

static inline const cJSON *part(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item) fail_msg("truth.json has no %s", key);
    return item;
}

static inline double number(const cJSON *object, const char *key)
{
    const cJSON *item = part(object, key);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

/* The model of a golden, with the tokenizer of the tasks, or one of these words alone. */
static inline tuff_model *load_model(const char *name, const char *as, const char *words)
{
    tuff_model *model = NULL;
    const char *path = kit_copy_model(kit_golden(name), as);
    if (words) {
        char *lines = tuff_strdup(words);
        assert_non_null(lines);
        for (char *at = lines; *at; at++)
            if (*at == ' ') *at = '\n';
        kit_write_file(kit_join(path, "vocab.txt"), lines, strlen(lines));
        tuff_free(lines);
        remove(kit_join(path, "tokenizer.json"));
    } else {
        kit_copy_file(task_asset("tokenizer.json"), kit_join(path, "tokenizer.json"));
        kit_copy_file(task_asset("tokenizer_config.json"), kit_join(path, "tokenizer_config.json"));
    }
    KIT_OK(tuff_model_load(path, &model));
    return model;
}

/* One whose words truth.json has, for a run that it describes. */
static inline tuff_model *load_model_of(const cJSON *truth, const cJSON *run, const char *name)
{
    const char *words = part(run, "vocabulary")->valuestring;
    return load_model(name, run->string, part(part(truth, "vocabularies"), words)->valuestring);
}

/* `most` tokens an example, 0: all of them; questions have windows. */
static inline tuff_dataset *load_data(const recipe *r, const cJSON *truth, const tuff_model *model,
                                      int64_t most)
{
    tuff_dataset *data = NULL;
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.task = r->task;
    p.training = true;
    p.text_field = r->text;
    p.text_pair_field = r->pair;
    p.label_field = r->label;
    p.problem_type = r->kind;
    p.stride = (int64_t)number(truth, "stride");
    p.max_length = r == &recipes[QA] ? (int64_t)number(truth, "window") : most;
    KIT_OK(tuff_dataset_load(model, task_asset(r->file), &p, &data));
    return data;
}

/* As sentence-transformers has it: decoders by their last token. */
static inline tuff_dataset *load_vectors(const recipe *r, const tuff_model *model, int64_t most)
{
    tuff_dataset *data = NULL;
    tuff_pair_params p = TUFF_PAIR_PARAMS_INIT;
    p.loss = r->kind;
    p.max_length = most;
    p.pooling = model->config.causal ? TUFF_POOLING_LAST : TUFF_POOLING_MEAN;
    p.normalize = TUFF_NORMALIZE_YES;
    KIT_OK(tuff_dataset_load_pairs(model, task_asset(r->file), &p, &data));
    return data;
}

/* ---- steps */

static inline tuff_train_params settings_of(const cJSON *truth, double rate, bool accumulates)
{
    const cJSON *adamw = part(truth, "adamw");
    int64_t batch = (int64_t)number(truth, "batch");
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = (int64_t)number(adamw, "steps");
    p.per_device_train_batch_size = accumulates ? 1 : batch;
    p.gradient_accumulation_steps = accumulates ? batch : 1;
    p.learning_rate = rate;
    p.weight_decay = number(adamw, "weight_decay");
    p.lr_scheduler_type = TUFF_SCHEDULE_CONSTANT;
    p.seed = (uint64_t)number(truth, "seed");
    p.no_shuffle = true;
    p.dropout = TUFF_DROPOUT_NONE;
    return p;
}

enum { TASK_STEPS = 50 };
typedef struct steps {
    float losses[TASK_STEPS], norms[TASK_STEPS];
    double bound; /* of losses */
} steps;

static inline void read_floats(const tuff_weights *file, const char *run, const char *what, size_t n,
                               float *out)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", run, what);
    const tuff_weight *w = tuff_weights_find(file, name);
    if (!w || tuff_weight_elements(w) != (int64_t)n) fail_msg("there are no %zu of %s", n, name);
    KIT_OK(tuff_weight_read(w, TUFF_F32, out));
}

static inline steps read_steps(const tuff_weights *file, const char *run)
{
    steps out;
    float drift;
    read_floats(file, run, "losses", TASK_STEPS, out.losses);
    read_floats(file, run, "norms", TASK_STEPS, out.norms);
    read_floats(file, run, "drift", 1, &drift);
    out.bound = loss_bound((double)drift);
    return out;
}

static inline void expect_near(const char *run, const char *what, int step, double got, double want,
                               double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want)))
        fail_msg("%s on %s: the %s of step %d is %.9g, the truth %.9g", run, device_name, what, step, got,
                 want);
}

static inline void check_steps(const char *run, tuff_trainer *trainer, const steps *wanted)
{
    assert_int_equal(trainer->params.max_steps, TASK_STEPS);
    for (int step = 0; step < TASK_STEPS; step++) {
        tuff_train_step got = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &got));
        expect_near(run, "loss", step + 1, got.loss, (double)wanted->losses[step], wanted->bound);
        expect_near(run, "gradient norm", step + 1, got.grad_norm, (double)wanted->norms[step],
                    20 * wanted->bound);
    }
}

#endif
