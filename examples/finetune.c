/* Fine-tunes a model by LoRA: finetune MODEL TEXT OUT writes the PEFT adapter OUT. A run that was ended,
 * however it was, goes on from its last checkpoint, OUT/checkpoint-<step>. */
#include <stdio.h>
#include <tuff/tuff.h>

enum { SAVE_STEPS = 10 };

/* *out_done: the steps of the newest checkpoint; 0: there is none. */
static tuff_status go_on(tuff_trainer *trainer, const char *out, int64_t *out_done)
{
    char *newest = NULL, *differences = NULL;
    tuff_checkpoint *checkpoint = NULL;
    tuff_checkpoint_info info = TUFF_CHECKPOINT_INFO_INIT;
    *out_done = 0;
    tuff_status status = tuff_checkpoint_find(out, 0, &newest);
    if (status == TUFF_NOT_FOUND) return TUFF_OK;
    if (!status) status = tuff_checkpoint_open(newest, NULL, &checkpoint);
    if (!status) status = tuff_checkpoint_get_info(checkpoint, &info);
    if (!status) status = tuff_checkpoint_differences(checkpoint, trainer, &differences);
    if (!status) printf("going on from %s\n%s", newest, differences);
    if (!status) status = tuff_trainer_resume(trainer, checkpoint);
    if (!status) *out_done = info.step;
    tuff_checkpoint_destroy(&checkpoint);
    tuff_free(differences);
    tuff_free(newest);
    return status;
}

static tuff_status run(tuff_trainer *trainer, const char *out)
{
    int64_t done, steps = tuff_trainer_total_steps(trainer);
    tuff_status status = go_on(trainer, out, &done);
    for (int64_t i = done + 1; i <= steps && !status; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        char path[1024];
        status = tuff_trainer_step(trainer, &step);
        if (!status) printf("step %lld  loss %.4f\n", (long long)step.step, step.loss);
        snprintf(path, sizeof path, "%s/checkpoint-%lld", out, (long long)i);
        if (!status && i % SAVE_STEPS == 0) status = tuff_trainer_save_checkpoint(trainer, path, NULL);
    }
    return status ? status : tuff_trainer_save(trainer, out);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s MODEL TEXT OUT\n", argv[0]);
        return 2;
    }
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    params.max_steps = 20;
    params.learning_rate = 1e-3;
    params.lora_rank = 8;

    tuff_model *model = NULL;
    tuff_device *device = NULL;
    tuff_dataset *text = NULL;
    tuff_trainer *trainer = NULL;
    tuff_status status = tuff_model_load(argv[1], &model);
    if (!status) status = tuff_dataset_load_text(model, argv[2], 128, NULL, &text);
    if (!status) status = tuff_device_open(NULL, &device);
    if (!status) status = tuff_trainer_create(model, device, text, &params, &trainer);
    if (!status) status = run(trainer, argv[3]);
    if (status) fprintf(stderr, "%s: %s\n", tuff_status_name(status), tuff_error_message());

    tuff_trainer_destroy(&trainer);
    tuff_device_destroy(&device);
    tuff_dataset_destroy(&text);
    tuff_model_destroy(&model);
    return status ? 1 : 0;
}
