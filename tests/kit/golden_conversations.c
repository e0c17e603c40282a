/* What of conversations is learned, and 50 steps of it, against jinja2, transformers and PyTorch. */
#include "base/json.h"
#include "kit/files.h"
#include "kit/golden.h"
#include "kit/truth.h"
#include "train/tasks/sft.h"

static const char *asset(const char *name)
{
    return kit_join(kit_golden("conversations"), name);
}

static const cJSON *part(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item) fail_msg("truth.json has no %s", key);
    return item;
}

static tuff_chat_template *open_template(const tuff_model *model, const char *name)
{
    const tuff_tokenizer *tokenizer;
    tuff_chat_template *out = NULL;
    tuff_buf text = {0};
    kit_read_file(asset(name), &text);
    KIT_OK(tuff_model_get_tokenizer(model, &tokenizer));
    KIT_OK(tuff_chat_template_create(text.data, text.size, tokenizer, &out));
    tuff_buf_free(&text);
    return out;
}

/* `chat_template` NULL: the texts stand as they are. */
static tuff_dataset *read(const tuff_model *model, const char *file, const char *chat_template,
                          int64_t length)
{
    tuff_chat_template *template = chat_template ? open_template(model, chat_template) : NULL;
    tuff_dataset *data = NULL;
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.task = "sft";
    p.training = true;
    p.max_length = length;
    p.chat_template = template;
    KIT_OK(tuff_dataset_load(model, asset(file), &p, &data));
    tuff_chat_template_destroy(&template);
    return data;
}

/* Ids and what of them is learned, token by token. */
static void compare_data(const char *run, const cJSON *truth, const tuff_dataset *data)
{
    const cJSON *ids, *learned = part(truth, "learned")->child;
    const uint8_t *marks = ((const tuff_sft *)data->own)->learned.data;
    int64_t i = 0;
    cJSON_ArrayForEach(ids, part(truth, "ids"))
    {
        const cJSON *id, *used = learned->child;
        int64_t at = data->starts[i];
        assert_true(i < data->sequences);
        assert_int_equal(cJSON_GetArraySize(ids), tuff_dataset_length(data, (uint32_t)i));
        cJSON_ArrayForEach(id, ids)
        {
            if (id->valueint != data->ids[at] || used->valueint != marks[at])
                fail_msg("%s: token %lld of conversation %lld is %d (%d), the truth %d (%d)", run,
                         (long long)(at - data->starts[i]), (long long)i, data->ids[at], marks[at],
                         id->valueint, used->valueint);
            used = used->next;
            at++;
        }
        learned = learned->next;
        i++;
    }
    assert_int_equal(i, data->sequences);
}

/* Of the whole model, or of a LoRA. */
static void train(const golden *g, const cJSON *truth, const char *how, int64_t batch,
                  const tuff_dataset *data, bool accumulates)
{
    const cJSON *steps = part(truth, how), *losses = part(steps, "losses"), *loss = losses->child,
                *norm = part(steps, "norms")->child;
    tuff_trainer *trainer = NULL;
    tuff_train_params p = adamw_params((size_t)cJSON_GetArraySize(losses), batch, accumulates);
    assert_int_equal(p.max_steps, 50);
    if (strcmp(how, "lora") == 0) {
        p.lora_rank = 4;
        p.lora_alpha = 8;
        p.lora_target = "all-linear";
    }
    KIT_OK(tuff_trainer_create_with(g->model, device, data, &p, true, &trainer));
    KIT_OK(tuff_trainer_prepare(trainer));
    if (p.lora_rank)
        begin_with_adapter(kit_join(kit_golden(part(truth, "model")->valuestring), "lora/initial"), trainer);
    for (; loss; loss = loss->next, norm = norm->next) {
        const float wanted[] = {(float)loss->valuedouble, (float)norm->valuedouble};
        check_step(g, accumulates ? "sft, one by one" : "sft", trainer, &wanted[0], &wanted[1]);
    }
    tuff_trainer_destroy(&trainer);
}

static void run_one(const cJSON *truth, const cJSON *run)
{
    const bool chat = strcmp(part(run, "file")->valuestring, "messages.jsonl") == 0;
    const int64_t length = part(truth, "length")->valueint, batch = part(truth, "batch")->valueint;
    golden g = {.name = run->string};
    KIT_OK(tuff_model_load(kit_golden(part(run, "model")->valuestring), &g.model));
    static const char *const files[] = {"messages.jsonl", "sharegpt.jsonl", "parts.json"};
    for (int i = 0; chat && i < 3; i++) {
        tuff_dataset *same = read(g.model, files[i], i == 2 ? "plain.jinja" : "chat_template.jinja", length);
        compare_data(files[i], run, same);
        tuff_dataset_destroy(&same);
    }
    tuff_dataset *data =
        read(g.model, part(run, "file")->valuestring, chat ? "chat_template.jinja" : NULL, length);
    compare_data(run->string, run, data);
    for (int accumulates = 0; accumulates < 2; accumulates++) {
        train(&g, run, "full", batch, data, accumulates);
        if (chat) train(&g, run, "lora", batch, data, accumulates);
    }
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&g.model);
}

static void conversations_are_learned(void **state)
{
    (void)state;
    cJSON *truth = NULL;
    const cJSON *run;
    int count = 0;
    KIT_OK(tuff_json_read(asset("truth.json"), &truth));
    cJSON_ArrayForEach(run, part(truth, "runs"))
    {
        run_one(truth, run);
        count++;
    }
    assert_int_equal(count, 4);
    cJSON_Delete(truth);
}

/* Conversations that share a row do not see each other: the same loss and gradient as in a batch. */
static void packing_changes_nothing(void **state)
{
    (void)state;
    golden g = load("llama", "truth.safetensors");
    float wanted[2] = {0, 0};
    for (int packs = 0; packs < 2; packs++) {
        tuff_dataset *data = NULL;
        tuff_trainer *trainer = NULL;
        tuff_chat_template *template = open_template(g.model, "chat_template.jinja");
        tuff_data_params p = TUFF_DATA_PARAMS_INIT;
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        p.task = "sft";
        p.max_length = 100;
        p.chat_template = template;
        p.packing = packs;
        KIT_OK(tuff_dataset_load(g.model, asset("messages.jsonl"), &p, &data));
        const int64_t rows = tuff_dataset_blocks(data);
        assert_true(packs ? rows > 1 && rows < 6 : rows == 11);
        const tuff_train_params t = adamw_params(1, rows, false);
        KIT_OK(tuff_trainer_create_with(g.model, device, data, &t, true, &trainer));
        if (packs) {
            check_step(&g, "packed rows", trainer, &wanted[0], &wanted[1]);
        } else {
            KIT_OK(tuff_trainer_step(trainer, &step));
            wanted[0] = (float)step.loss;
            wanted[1] = (float)step.grad_norm;
        }
        tuff_trainer_destroy(&trainer);
        tuff_dataset_destroy(&data);
        tuff_chat_template_destroy(&template);
    }
    unload(&g);
}

int conversations_main(const char *name)
{
    if (!open_device(name)) return 77;
    const struct CMUnitTest tests[] = {cmocka_unit_test(conversations_are_learned),
                                       cmocka_unit_test(packing_changes_nothing)};
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
