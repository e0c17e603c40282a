/* Preferences that are trained on the CPU: records, data of each loss, steps and their figures. */
#ifndef TUFF_TESTS_PREFERENCE_FIXTURE_H
#define TUFF_TESTS_PREFERENCE_FIXTURE_H

#include <math.h>
#include <tuff/train.h>

#include "cpu_fixture.h"
#include "model_fixture.h"

static tuff_model *model;

static const char pairs[] =
    "{\"prompt\": \"The river\", \"chosen\": \" is wide.\", \"rejected\": \" is not\"}\n"
    "{\"prompt\": \"A stone\", \"chosen\": \" lies\", \"rejected\": \" was a bridge.\"}\n"
    "{\"prompt\": \"How far?\", \"chosen\": \" Not far.\", \"rejected\": \" Far\"}\n"
    "{\"prompt\": \"In the\", \"chosen\": \" morning\", \"rejected\": \" sea, a\"}\n"
    "{\"prompt\": \"Who\", \"chosen\": \" came?\", \"rejected\": \" is it?\"}\n";
static const char answers[] =
    "{\"prompt\": \"The river\", \"completion\": \" is wide.\", \"label\": true}\n"
    "{\"prompt\": \"A stone\", \"completion\": \" was a bridge.\", \"label\": false}\n"
    "{\"prompt\": \"How far?\", \"completion\": \" Not far.\", \"label\": 1}\n"
    "{\"prompt\": \"In the\", \"completion\": \" sea, a\", \"label\": \"False\"}\n"
    "{\"prompt\": \"Who\", \"completion\": \" came?\", \"label\": true}\n";

static inline tuff_data_params data_params(const char *loss)
{
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.task = "preference";
    p.training = p.strict = true;
    p.loss = loss;
    return p;
}

static inline tuff_dataset *load_with(const char *text, const tuff_data_params *p)
{
    tuff_dataset *data = NULL;
    const char *path = kit_path("records.jsonl");
    kit_write_file(path, text, strlen(text));
    KIT_OK(tuff_dataset_load(model, path, p, &data));
    return data;
}

static inline tuff_dataset *load(const char *loss)
{
    const tuff_data_params p = data_params(loss);
    return load_with(strcmp(loss, "kto") == 0 ? answers : pairs, &p);
}

static inline tuff_train_params settings(bool lora, int64_t steps)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = steps;
    p.per_device_train_batch_size = 2;
    p.learning_rate = lora ? 1e-2 : 1e-3;
    p.lora_rank = lora ? 4 : 0;
    p.lora_target = lora ? "all-linear" : NULL;
    return p;
}

static inline double figure(int64_t count, const tuff_eval_figure *figures, const char *name)
{
    for (int64_t i = 0; i < count; i++)
        if (strcmp(figures[i].name, name) == 0) return figures[i].value;
    fail_msg("there is no figure %s", name);
    return 0;
}

static inline tuff_trainer *open_trainer(const tuff_dataset *data, const tuff_train_params *p)
{
    tuff_trainer *t = NULL;
    KIT_OK(tuff_trainer_create(model, device, data, p, &t));
    return t;
}

static inline tuff_train_step step_of(tuff_trainer *t)
{
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    KIT_OK(tuff_trainer_step(t, &step));
    return step;
}

static inline bool same_result(const tuff_eval_result *a, const tuff_eval_result *b, double relative)
{
    bool same = a->count == b->count && fabs(a->loss - b->loss) <= relative * fabs(b->loss);
    for (int64_t i = 0; i < a->count && same; i++)
        same = strcmp(a->figures[i].name, b->figures[i].name) == 0 &&
               fabs(a->figures[i].value - b->figures[i].value) <= relative * (1 + fabs(b->figures[i].value));
    return same;
}

#endif
